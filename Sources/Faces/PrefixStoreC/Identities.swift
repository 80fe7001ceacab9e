// From the structs of C to the identities and layouts of the store.

internal import CPrefixStore
internal import PrefixStore

/// The identity that a C program gives, for pages or blocks of a layout.
func identity(_ pointer: UnsafePointer<pfx_identity>?, _ layout: KVLayout) throws -> ModelIdentity {
    let given = try unsafe sized(pointer, "pfx_identity")
    guard let weights = unsafe digest(given.weights), let tokenizer = unsafe digest(given.tokenizer) else {
        throw StoreError.invalidIdentity("a digest is all zero: fill it with pfx_file_digest")
    }
    guard unsafe given.reserved == 0 else { throw StoreError.invalidIdentity("a reserved field is not 0") }
    let label = try unsafe given.label == nil ? nil : text(given.label, "label")
    return try unsafe ModelIdentity(
        weights: weights, layout: layout, positions: text(given.positions, "positions"), tokenizer: tokenizer,
        engine: text(given.engine, "engine"), engineFormat: given.engine_format, shard: shard(given),
        adapter: digest(given.adapter), salt: salt(given), labels: label.map { ["model": $0] } ?? [:])
}

private func shard(_ given: pfx_identity) throws -> Shard {
    let shard = unsafe Shard(
        tensorRank: given.tensor_rank, tensorSize: max(1, given.tensor_size), pipelineRank: given.pipeline_rank,
        pipelineSize: max(1, given.pipeline_size))
    guard shard.tensorRank < shard.tensorSize, shard.pipelineRank < shard.pipelineSize else {
        throw StoreError.invalidIdentity("a rank is not below the number of parts")
    }
    return shard
}

private func salt(_ given: pfx_identity) throws -> Salt? {
    guard let bytes = unsafe given.salt else {
        guard unsafe given.salt_bytes == 0 else { throw Refusal.argument("salt is NULL and salt_bytes is not 0") }
        return nil
    }
    let count = unsafe given.salt_bytes
    // Checked here too, since the bytes are read before the salt is made.
    guard Limits.saltBytes.contains(count) else {
        throw StoreError.invalidIdentity(
            "a salt has \(Limits.saltBytes.lowerBound) to \(Limits.saltBytes.upperBound) bytes")
    }
    return try unsafe Salt(Array(UnsafeRawBufferPointer(start: bytes, count: count)))
}

/// The layout that a C program gives.
func layout(_ pointer: UnsafePointer<pfx_layout>?) throws -> KVLayout {
    let given = try unsafe sized(pointer, "pfx_layout")
    let count = unsafe Int(given.plane_count)
    guard Limits.planes.contains(count) else { throw StoreError.invalidLayout("planes outside \(Limits.planes)") }
    let planes = try unsafe structs(given.planes, count, size: given.plane_size, "pfx_plane").map { plane in
        try KVPlane(
            layer: Int(plane.layer), rowBytes: Int(plane.row_bytes), element: element(plane.element),
            window: Int(plane.window))
    }
    return try unsafe KVLayout(planes: planes, pageSize: given.page_tokens == 0 ? 64 : Int(given.page_tokens))
}

/// The element with a number of the header.
func element(_ number: UInt32) throws -> KVElement {
    guard let element = UInt8(exactly: number).flatMap({ KVElement(rawValue: $0) }) else {
        throw StoreError.invalidLayout("there is no element \(number)")
    }
    return element
}
