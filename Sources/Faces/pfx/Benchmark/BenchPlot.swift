// The rates of a benchmark as a picture: bars in SVG.

internal import Foundation

/// A bar chart.
struct BenchPlot {
    /// What the bars show.
    var title: String
    /// The line under the title.
    var subtitle: String
    /// One bar each: its name and its rate in GB/s.
    var bars: [(name: String, value: Double)]

    private let labelWidth = 270.0, barWidth = 400.0, rowHeight = 30.0, top = 70.0

    /// The picture.
    var svg: String {
        let largest = max(bars.map(\.value).max() ?? 0, 1e-9)
        let height = top + rowHeight * Double(bars.count) + 16
        var lines = [
            #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 \#(Self.number(height))" "#
                + #"font-family="sans-serif" font-size="14">"#,
            ##"<rect width="100%" height="100%" fill="#ffffff"/>"##,
            ##"<text x="16" y="28" font-size="18" fill="#1f2328">\##(Self.escaped(title))</text>"##,
            ##"<text x="16" y="50" fill="#59636e">\##(Self.escaped(subtitle))</text>"##,
        ]
        for (index, bar) in bars.enumerated() {
            lines += row(bar, y: top + rowHeight * Double(index), scale: barWidth / largest)
        }
        return (lines + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private func row(_ bar: (name: String, value: Double), y: Double, scale: Double) -> [String] {
        let isLimit = bar.name.hasPrefix("memcpy")
        let width = bar.value * scale
        let text = Self.number(y + 18)
        return [
            ##"<text x="\##(Self.number(labelWidth - 8))" y="\##(text)" text-anchor="end" fill="#1f2328">"##
                + "\(Self.escaped(bar.name))</text>",
            ##"<rect x="\##(Self.number(labelWidth))" y="\##(Self.number(y + 4))" width="\##(Self.number(width))" "##
                + ##"height="20" fill="\##(isLimit ? "#afb8c1" : "#0969da")"/>"##,
            ##"<text x="\##(Self.number(labelWidth + width + 6))" y="\##(text)" fill="#1f2328">"##
                + String(format: "%.2f GB/s</text>", bar.value),
        ]
    }

    private static func number(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
    }
}

extension BenchReport {
    /// The rates as bars.
    var plot: BenchPlot {
        BenchPlot(
            title: "\(model), \(element), codec \(codec), \(tokens) tokens",
            subtitle: "\(processor), \(system); medians of \(repeats)",
            bars: rates.map { (name: $0.step, value: $0.gigabytesPerSecond) })
    }
}
