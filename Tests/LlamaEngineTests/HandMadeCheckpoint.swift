// The means to make good and bad checkpoints by hand.

import Foundation
import TestKit

extension TemporaryFolder {
    func write(_ name: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
    }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

    func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name)))) }

    /// Copies the files of another folder.
    func copy(_ folder: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            try FileManager.default.copyItem(atPath: folder + "/" + name, toPath: path(name))
        }
    }

    /// Rewrites a JSON file with some fields replaced, given as the text of a JSON object; "(remove)" removes a field.
    func patch(_ name: String, with fields: String) throws {
        var object = try Self.object(Data(try read(name)))
        for (key, value) in try Self.object(Data(fields.utf8)) {
            object[key] = value as? String == "(remove)" ? nil : value
        }
        try write(name, [UInt8](try JSONSerialization.data(withJSONObject: object)))
    }

    private static func object(_ data: Data) throws -> [String: Any] {
        guard let object = try JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            throw CocoaError(.propertyListReadCorrupt)
        }
        return object
    }
}

/// The bytes of a safetensors file.
enum SafetensorsBytes {
    /// Header length, header, data.
    static func file(header: String, data: [UInt8] = []) -> [UInt8] {
        file(announcing: UInt64(header.utf8.count), header: header, data: data)
    }

    /// The same with a header length of the caller's choosing.
    static func file(announcing length: UInt64, header: String, data: [UInt8]) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8) + data
    }

    /// The header's entry of one tensor.
    static func entry(_ name: String, _ dtype: String, _ shape: [Int], _ begin: Int, _ end: Int) -> String {
        #""\#(name)":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
    }
}
