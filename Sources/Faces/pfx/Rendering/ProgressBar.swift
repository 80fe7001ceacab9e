// The progress of a batch, on a terminal.

internal import Foundation

/// One line with a bar; nothing is shown when standard error is no terminal.
final class ProgressBar {
    private let line = ProgressLine()
    /// Bytes of the input; nil when that is not known, and there is no bar.
    private let total: Int?
    private let began = Date()

    /// A bar over an input of `total` bytes.
    init(total: Int?) { self.total = total }

    /// Shows that lines of `bytes` bytes are done.
    func show(bytes: Int, _ totals: BatchTotals, running: Int) {
        line.show(text(bytes: bytes, totals, running: running))
    }

    /// Takes the line away.
    func clear() { line.clear() }

    /// The line as it is shown.
    func text(bytes: Int, _ totals: BatchTotals, running: Int) -> String {
        let seconds = max(Date().timeIntervalSince(began), 1e-3)
        let rate = Int(Double(totals.promptTokens + totals.generatedTokens) / seconds)
        let counts =
            "\(Render.count(totals.requests)) done, \(Render.count(running)) running, \(Render.count(rate)) tokens/s"
        guard let total, total > 0 else { return counts }
        let share = min(1, Double(bytes) / Double(total))
        let filled = Int(share * 24)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 24 - filled)
        return "[\(bar)] \(Int(share * 100)) %  \(counts)"
    }
}
