// Small JSON files that are read as a whole. Access is typed, and every error names the field.

import Foundation

/// A JSON value, in the forms that configurations need.
enum JSONValue: Decodable, Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let string = try? value.decode(String.self) {
            self = .string(string)
        } else if let array = try? value.decode([JSONValue].self) {
            self = .array(array)
        } else {
            self = .object(try value.decode([String: JSONValue].self))
        }
    }
}

/// A JSON object together with the name under which errors report it.
struct JSONFields: Sendable {
    /// The file's name, as errors show it.
    let file: String
    /// The fields' path inside the file: empty, or `rope_scaling.`.
    let prefix: String
    private let fields: [String: JSONValue]

    /// Reads `mapped`, which must hold one JSON object; errors call it `file`.
    init(_ mapped: MappedFile, file: String) throws(EngineError) {
        self.init(file: file, fields: try readJSON([String: JSONValue].self, from: mapped, file: file))
    }

    init(file: String, fields: [String: JSONValue], prefix: String = "") {
        self.file = file
        self.prefix = prefix
        self.fields = fields
    }

    /// The value of a field; `nil` when the field is missing or null.
    subscript(_ field: String) -> JSONValue? {
        guard let value = fields[field], value != .null else { return nil }
        return value
    }

    /// Whether the field is there, even if it is null.
    func mentions(_ field: String) -> Bool { fields[field] != nil }

    /// A whole number in `range`; `nil` when the field is missing or null.
    func integer(_ field: String, in range: ClosedRange<Int>) throws(EngineError) -> Int? {
        guard let value = self[field] else { return nil }
        guard case .number(let number) = value, let whole = Int(exactly: number), range.contains(whole) else {
            throw refusal(field, "is not a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return whole
    }

    /// A whole number from 1 to `bound` that must be there.
    func size(_ field: String, atMost bound: Int) throws(EngineError) -> Int {
        guard let value = try integer(field, in: 1...bound) else { throw refusal(field, "is missing") }
        return value
    }

    /// A positive, finite number up to `bound`; `nil` when the field is missing or null.
    func positive(_ field: String, atMost bound: Float) throws(EngineError) -> Float? {
        guard let value = self[field] else { return nil }
        guard case .number(let number) = value, Float(number) > 0, Float(number) <= bound else {
            throw refusal(field, "is not a positive number up to \(bound)")
        }
        return Float(number)
    }

    /// A truth value; `false` when the field is missing or null.
    func flag(_ field: String) throws(EngineError) -> Bool {
        guard let value = self[field] else { return false }
        guard case .bool(let bool) = value else { throw refusal(field, "is neither true nor false") }
        return bool
    }

    /// A string; `nil` when the field is missing or null.
    func string(_ field: String) throws(EngineError) -> String? {
        guard let value = self[field] else { return nil }
        guard case .string(let string) = value else { throw refusal(field, "is not a string") }
        return string
    }

    /// An object; `nil` when the field is missing or null.
    func object(_ field: String) throws(EngineError) -> JSONFields? {
        guard let value = self[field] else { return nil }
        guard case .object(let object) = value else { throw refusal(field, "is not an object") }
        return JSONFields(file: file, fields: object, prefix: prefix + field + ".")
    }

    /// A number or a list of numbers, each a token id below `bound`; `nil` when the field is missing or null.
    func tokenIDs(_ field: String, below bound: Int) throws(EngineError) -> [UInt32]? {
        guard let value = self[field] else { return nil }
        let values = if case .array(let list) = value { list } else { [value] }
        var ids: [UInt32] = []
        for value in values {
            guard case .number(let number) = value, let id = UInt32(exactly: number), Int(id) < bound else {
                throw refusal(field, "is neither a token id nor a list of them below the vocabulary size")
            }
            ids.append(id)
        }
        return ids
    }

    /// The error for this field; `reason` says what is wrong.
    func refusal(_ field: String, _ reason: String) -> EngineError {
        .invalidField(file: file, field: prefix + field, reason: reason)
    }
}

/// Reads `mapped`, which errors call `file`, as a `Value`.
///
/// - Throws: `.fileTooLarge`; `.notJSON` with the place when it is not a JSON object; `.invalidField` when it is not a
///   `Value`.
func readJSON<Value: Decodable>(_ type: Value.Type, from mapped: MappedFile, file: String) throws(EngineError) -> Value
{
    guard mapped.byteCount <= CheckpointLimits.jsonBytes else {
        throw .fileTooLarge(path: mapped.path, bytes: mapped.byteCount, limit: CheckpointLimits.jsonBytes)
    }
    let data = unsafe Data(mapped.buffer)
    do {
        return try JSONDecoder().decode(type, from: data)
    } catch {
        throw explained(error, data, file: file)
    }
}

/// The decoder's error as people read it.
private func explained(_ error: any Error, _ data: Data, file: String) -> EngineError {
    var path: [any CodingKey] = []
    var reason = "is of the wrong type"
    switch error as? DecodingError {
    case .keyNotFound(let key, let context): (path, reason) = (context.codingPath + [key], "is missing")
    case .valueNotFound(_, let context), .typeMismatch(_, let context): path = context.codingPath
    case .dataCorrupted(let context): (path, reason) = (context.codingPath, context.debugDescription)
    default: break
    }
    guard path.isEmpty else {
        let field = path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        return .invalidField(file: file, field: field, reason: reason)
    }
    return .notJSON(file: file, reason: placeOfMistake(in: data))
}

/// Where the text stops being JSON. `JSONDecoder` does not say this, but Foundation's other reader does.
private func placeOfMistake(in data: Data) -> String {
    do {
        _ = try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
        return "it is something else"
    } catch {
        let text = (error as NSError).userInfo[NSDebugDescriptionErrorKey] as? String ?? ""
        guard let offset = Int(text.filter(\.isNumber)) else { return "it ends too early" }
        let lines = data.prefix(offset).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        return "line \(max(lines.count, 1)) is not JSON near column \((lines.last?.count ?? 0) + 1)"
    }
}
