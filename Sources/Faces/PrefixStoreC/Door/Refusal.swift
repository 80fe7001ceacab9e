// What a call answers when it cannot do what it was asked: a code, and a text for `pfx_last_error`.

internal import CPrefixStore
internal import PrefixStore

/// A mistake that only the C library can meet, or sees before the store does.
struct Refusal: Error {
    let code: Int
    let text: String

    /// A pointer, size or number that the call does not take.
    static func argument(_ what: String) -> Refusal {
        Refusal(code: PFX_INVALID_ARGUMENT, text: "\(what). Correct the call; nothing was changed.")
    }
}

/// Runs the body of a call. No error leaves it but as a code.
func answer(_ body: () throws -> Int64) -> Int64 {
    do {
        return try body()
    } catch {
        return Int64(keep(error))
    }
}

/// As above, for a call that answers no number.
func answer(_ body: () throws -> Void) -> Int32 {
    do {
        try body()
        return Int32(PFX_OK)
    } catch {
        return keep(error)
    }
}

/// The code and the text of an error.
func codeAndText(_ error: any Error) -> (code: Int32, text: String) {
    switch error {
    case let error as StoreError: (-error.code, "\(error.description) \(error.remedy)")
    case let error as Refusal: (Int32(error.code), error.text)
    // No other type is thrown here.
    default: (Int32(PFX_SYSTEM), "\(error)")
    }
}

/// Keeps the text of an error for `pfx_last_error`, and says its code.
private func keep(_ error: any Error) -> Int32 {
    var (code, text) = codeAndText(error)
    text.withUTF8 { bytes in
        unsafe bytes.withMemoryRebound(to: CChar.self) { text in
            guard let start = text.baseAddress else { return }
            unsafe cprefixstore_set_error(start, text.count)
        }
    }
    return code
}
