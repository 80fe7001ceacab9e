// How numbers, times and tables look: plain text for people, JSON for programs.

internal import Foundation
internal import PrefixStore

/// Numbers and times for people.
enum Render {
    /// `1,234,567`.
    static func count(_ number: Int) -> String {
        var groups: [Substring] = []
        var digits = Substring(String(number.magnitude))
        while digits.count > 3 {
            groups.insert(digits.suffix(3), at: 0)
            digits = digits.dropLast(3)
        }
        groups.insert(digits, at: 0)
        return (number < 0 ? "-" : "") + groups.joined(separator: ",")
    }

    /// `1 page`, `2 pages`, `1,024 tokens`.
    static func count(_ number: Int, _ noun: String) -> String { "\(count(number)) \(noun)\(number == 1 ? "" : "s")" }

    /// `12.3 %`; `-` when the whole is 0.
    static func percent(_ part: UInt64, of whole: UInt64) -> String {
        guard whole > 0 else { return "-" }
        return String(format: "%.1f %%", 100 * Double(part) / Double(whole))
    }

    /// How many times smaller the slots on disk are than the raw pages, such as `1.48`; `-` when nothing is stored.
    static func ratio(_ raw: ByteCount, _ slots: ByteCount) -> String {
        guard slots.value > 0 else { return "-" }
        return String(format: "%.2f", Double(raw.value) / Double(slots.value))
    }

    /// `1.48 times smaller`, or `1.20 times larger`: the slots on disk compared with the raw pages.
    static func comparison(_ raw: ByteCount, _ slots: ByteCount) -> String {
        slots > raw ? "\(ratio(slots, raw)) times larger" : "\(ratio(raw, slots)) times smaller"
    }

    /// `24 KiB raw, 18.1 KiB encoded, 16 KiB in slots: 1.50 times smaller`.
    static func sizes(raw: ByteCount, encoded: ByteCount, slots: ByteCount) -> String {
        "\(raw) raw, \(encoded) encoded, \(slots) in slots: \(comparison(raw, slots))"
    }

    /// `0-2495`: the positions of `count` tokens, blocks or layers, the last one included; `-` when there are none.
    static func range(_ first: Int, _ count: Int) -> String {
        switch count {
        case ..<1: "-"
        case 1: "\(first)"
        default: "\(first)-\(first + count - 1)"
        }
    }

    /// `2026-11-24 23:42:01Z`.
    static func time(_ moment: Timestamp) -> String {
        moment.description.replacingOccurrences(of: "T", with: " ")
    }

    /// `5 s`, `12 min`, `3 h`, `9 d`: how long ago it was. A time in the future means that a clock was set back.
    static func age(_ moment: Timestamp, now: Timestamp = .now) -> String {
        let seconds = (now.milliseconds - moment.milliseconds) / 1000
        return switch seconds {
        case ..<(-1): "in the future"
        case ..<60: "\(max(0, seconds)) s"
        case ..<3600: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3600) h"
        default: "\(seconds / 86_400) d"
        }
    }
}

/// Rows in aligned columns, two spaces apart.
struct TextTable {
    /// How a column is aligned.
    enum Alignment { case left, right }

    private let columns: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    /// A table with titles; without any, the titles' line is left out.
    init(_ columns: (String, Alignment)...) { self.columns = columns.map { (title: $0.0, alignment: $0.1) } }

    /// Adds a row: one cell per column. Characters that control a terminal are made visible.
    mutating func add(_ cells: String...) {
        precondition(cells.count == columns.count, "a row has one cell per column")
        rows.append(cells.map(Reveal.visible))
    }

    /// Whether the table has no rows.
    var isEmpty: Bool { rows.isEmpty }

    /// The lines with their line ends, and without blanks before those.
    var text: String {
        let titles = columns.map(\.title)
        let lines = titles.allSatisfy(\.isEmpty) ? rows : [titles] + rows
        let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.reduce(into: "") { text, line in
            let cells = columns.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - line[column].count)
                return columns[column].alignment == .left ? line[column] + padding : padding + line[column]
            }
            var joined = cells.joined(separator: "  ")
            while joined.last == " " { joined.removeLast() }
            text += joined + "\n"
        }
    }
}

/// JSON for programs: one object per command.
enum JSONOutput {
    /// The object with sorted keys in snake case, ended by a new line. All control characters are escaped, also those
    /// that JSON allows.
    static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let text = String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
        let isPlain = { (scalar: Unicode.Scalar) in scalar == "\n" || scalar.properties.generalCategory != .control }
        guard !text.unicodeScalars.allSatisfy(isPlain) else { return text }
        return text.unicodeScalars.reduce(into: "") { line, scalar in
            if isPlain(scalar) {
                line.unicodeScalars.append(scalar)
            } else {
                line += "\\u" + String(scalar.value + 0x10000, radix: 16).dropFirst()
            }
        }
    }
}
