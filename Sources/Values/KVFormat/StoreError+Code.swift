// The numbers of errors: for logs, metrics and other languages, where a sentence is of no use.

extension StoreError {
    /// Who can do something about an error.
    public enum Audience: Int32, Sendable, CaseIterable {
        /// The author of the program that calls the store: the call is wrong, or comes at the wrong time.
        case caller = 1
        /// Who runs the program: the folder, its permissions or its format do not allow what was asked.
        case `operator` = 2
        /// Who looks after the machine: a resource is used up, a file is damaged, or the system refused a call.
        case machine = 3
    }

    /// The error's number. The hundreds are the audience: 1 the caller, 2 the operator, 3 the machine. A number is
    /// never changed nor used again once it was released.
    public var code: Int32 {
        switch self {
        case .invalidLayout: 101
        case .invalidIdentity: 102
        case .invalidOption: 103
        case .invalidTokens: 104
        case .invalidPages: 105
        case .invalidSideState: 106
        case .alreadyOpen: 107
        case .forked: 108
        case .closed: 109
        case .noSuchPage: 110
        case .noSuchSpace: 111
        case .invalidBlock: 112
        case .invalidName: 113
        case .tooManyNames: 114
        case .noSuchName: 115
        case .notAFolder: 201
        case .notAStore: 202
        case .readOnly: 203
        case .permissions: 204
        case .networkFileSystem: 205
        case .formatMismatch: 206
        case .sealedSpace: 207
        case .wrongKey: 208
        case .invalidKey: 209
        case .diskFull: 301
        case .quotaFull: 302
        case .mapFull: 303
        case .readersFull: 304
        case .damaged: 305
        case .system: 306
        case .writerBusy: 307
        case .diskFailure: 308
        case .fileReplaced: 309
        case .remoteFailure: 310
        }
    }

    /// Who can do something about the error.
    public var audience: Audience {
        switch code / 100 {
        case 1: .caller
        case 2: .operator
        default: .machine
        }
    }
}
