// What is wrong with a line or a prefix, in the words of the program.

internal import LlamaEngine

/// What is wrong with a line or a prefix, in one sentence or two. It never quotes a prompt.
struct InputError: Error, Equatable {
    var sentence: String
    /// Why there is no tokenizer, when that is what is wrong: no text at all can be used then.
    var missingTokenizer: EngineError?

    /// An error with its own words.
    init(_ sentence: String) { self.sentence = sentence }

    /// An error of the engine.
    init(_ error: EngineError) {
        let words = error.commandLineWords
        sentence = "\(words.sentence) \(words.remedy)"
    }

    /// A line that is longer than any prompt.
    static let tooLong = InputError("It has more than \(LineReader.longestLine >> 20) MiB.")

    /// Runs `body` and tells the engine's errors in its words.
    static func explaining<R>(_ body: () throws(EngineError) -> R) throws(InputError) -> R {
        do throws(EngineError) {
            return try body()
        } catch {
            throw InputError(error)
        }
    }
}
