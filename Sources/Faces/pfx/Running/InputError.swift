// What is wrong with a line or a prefix, in the words of the program.

internal import LlamaEngine

/// What is wrong with a line or a prefix, in one or two sentences. It never quotes a prompt.
struct InputError: Error, Equatable {
    var sentence: String
    /// The reason why there is no tokenizer, if that is the problem. Then no text can be used at all.
    var missingTokenizer: EngineError?

    /// An error with this text.
    init(_ sentence: String) { self.sentence = sentence }

    /// An error of the engine.
    init(_ error: EngineError) {
        let words = error.commandLineWords
        sentence = "\(words.sentence) \(words.remedy)"
    }

    /// A line that is longer than any prompt.
    static let tooLong = InputError("It is longer than \(LineReader.longestLine >> 20) MiB.")

    /// Runs `body` and reports errors of the engine in their own words.
    static func explaining<R>(_ body: () throws(EngineError) -> R) throws(InputError) -> R {
        do throws(EngineError) {
            return try body()
        } catch {
            throw InputError(error)
        }
    }
}
