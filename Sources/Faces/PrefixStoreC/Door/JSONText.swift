// JSON for people, logs and metrics, without Foundation: objects of numbers, texts and lists of objects.

/// One JSON object under construction.
struct JSONText {
    private var fields: [String] = []

    /// The object, on one line.
    var text: String { "{\(fields.joined(separator: ","))}" }

    /// Adds a number.
    mutating func add(_ name: String, _ number: some BinaryInteger) { add(name, json: "\(number)") }

    /// Adds a text.
    mutating func add(_ name: String, _ text: String) { add(name, json: Self.quoted(text)) }

    /// Adds an object.
    mutating func add(_ name: String, _ object: JSONText) { add(name, json: object.text) }

    /// Adds a list of texts.
    mutating func add(_ name: String, _ texts: [String]) { add(name, json: Self.list(texts.map(Self.quoted))) }

    /// Adds a list of objects.
    mutating func add(_ name: String, _ objects: [JSONText]) { add(name, json: Self.list(objects.map(\.text))) }

    /// Adds a value that is JSON already.
    mutating func add(_ name: String, json: String) { fields.append("\(Self.quoted(name)):\(json)") }

    /// A list of values that are JSON already.
    static func list(_ values: [String]) -> String { "[\(values.joined(separator: ","))]" }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
