// The progress of a batch, on a terminal.

internal import Foundation

/// One line with a bar; nothing is shown when standard error is not a terminal.
final class ProgressBar {
    private let line = ProgressLine()
    /// Bytes of the input; nil when the number is unknown, and then there is no bar.
    private let total: Int?
    private let began = Date()

    /// A bar over an input of `total` bytes.
    init(total: Int?) { self.total = total }

    /// Notes that lines of `bytes` bytes are done.
    func show(bytes: Int, _ totals: BatchTotals, running: Int, waiting: Int) {
        line.show(text(bytes: bytes, totals, running: running, waiting: waiting))
    }

    /// Takes the line away.
    func clear() { line.clear() }

    /// The line as it is shown.
    func text(bytes: Int, _ totals: BatchTotals, running: Int, waiting: Int) -> String {
        let seconds = max(Date().timeIntervalSince(began), 1e-3)
        let rate = Int(Double(totals.promptTokens + totals.generatedTokens) / seconds)
        let counts =
            "\(Render.count(totals.requests)) done, \(Render.count(running)) running, "
            + "\(Render.count(waiting)) waiting, \(Render.count(rate)) tokens/s"
        guard let total, total > 0 else { return counts }
        let share = min(1, Double(bytes) / Double(total))
        let filled = Int(share * 24)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 24 - filled)
        return "[\(bar)] \(Int(share * 100)) %  \(counts)"
    }
}

/// One line on a terminal that is written over and over; nothing in a pipe or file.
final class ProgressLine {
    private let isOnTerminal = isatty(STDERR_FILENO) == 1
    private var width = 0
    private var shownAt = Date.distantPast

    /// Shows `text`, at most ten times per second.
    func show(_ text: String) {
        guard isOnTerminal, Date().timeIntervalSince(shownAt) > 0.1 else { return }
        shownAt = Date()
        overwrite(String(text.prefix(columns - 1)))
    }

    /// Takes the line away.
    func clear() {
        guard width > 0 else { return }
        overwrite("")
    }

    /// Columns of the terminal. A line of this width would wrap.
    private var columns: Int {
        var size = winsize()
        let isKnown = unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 1
        return isKnown ? Int(size.ws_col) : 80
    }

    private func overwrite(_ text: String) {
        let padding = String(repeating: " ", count: max(0, width - text.count))
        Output.writeMessage("\r\(text)\(padding)\r")
        width = text.count
    }
}
