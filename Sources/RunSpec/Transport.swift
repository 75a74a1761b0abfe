/// How workers exchange gradients and parameters.
package enum Transport: String, Codable, CaseIterable, Sendable {
    /// In place: the state lies once per host, in memory that all workers share.
    case shared
    /// In messages over Gloo: each worker has memory of its own.
    case gloo
}
