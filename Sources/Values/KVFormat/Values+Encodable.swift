// How single values look in JSON and the like: hashes and moments as text, sizes as numbers.

extension PrefixHash: Encodable {
    /// Writes 64 hexadecimal digits.
    public func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(description)
    }
}

extension Digest: Encodable {
    /// Writes 64 hexadecimal digits.
    public func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(description)
    }
}

extension ByteCount: Encodable {
    /// Writes the number of bytes.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}

extension Timestamp: Encodable {
    /// Writes the moment as `description` has it: ISO 8601, to the second, in UTC.
    public func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(description)
    }
}
