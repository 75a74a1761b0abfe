/// What must be in the environment before a process that multiplies matrices starts.
package enum BLASEnvironment {
    /// - Parameters:
    ///   - environment: of this process.
    ///   - preferredCore: the OpenBLAS core name for this processor's features; an `OPENBLAS_CORETYPE` that the
    ///     user has set wins.
    /// - Returns: the variables to set. A call at run time would be silently undone in OpenMP builds.
    package static func variables(over environment: [String: String], preferredCore: String?) -> [String: String] {
        var set = ["OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "GOTO_NUM_THREADS": "1"]
        if environment["OPENBLAS_CORETYPE"] == nil, let preferredCore { set["OPENBLAS_CORETYPE"] = preferredCore }
        return set
    }
}
