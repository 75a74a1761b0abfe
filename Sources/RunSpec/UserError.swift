/// Something the user can put right: one sentence with what, where, numbers and what to do, and the process's
/// exit status. Every command that stops for such a reason leaves nothing behind.
package struct UserError: Error, CustomStringConvertible, Sendable {
    /// Exit statuses of `headway`, listed in `headway --help`.
    package enum Status: Int32, Sendable {
        case runFailed = 1          // the run or a check ended without success
        case usage = 64             // flags, keys and values (EX_USAGE)
        case badInput = 65          // text, checkpoints, run folders (EX_DATAERR)
        case missing = 66           // a file or folder that is not there (EX_NOINPUT)
        case system = 71            // memory, processes, processor (EX_OSERR)
        case unwritable = 73        // a folder or file that cannot be made (EX_CANTCREAT)
        case interrupted = 130      // stopped by SIGINT, SIGTERM or SIGHUP, state saved
    }
    package let status: Status
    package let description: String

    /// What the process exits with: that of the status unless a command says more with it.
    package let exitStatus: Int32

    package init(_ status: Status, _ description: String, exitStatus: Int32? = nil) {
        self.status = status
        self.exitStatus = exitStatus ?? status.rawValue
        self.description = description
    }
}
