// The weight files of a checkpoint: one, or the shards that an index names.

import Foundation

/// Mapped weight files and where each tensor lies in them.
struct WeightFiles: Sendable {
    /// A tensor's file and its place there.
    struct Place: Sendable {
        /// Index into `files`.
        let file: Int
        let entry: TensorEntry
    }

    static let single = "model.safetensors"
    static let index = "model.safetensors.index.json"

    /// File names in sorted order, without a folder.
    let names: [String]
    /// The mapped files, in the order of `names`.
    let files: [MappedFile]
    /// Where each tensor lies.
    let tensors: [String: Place]
    /// The index, when there is one.
    let indexFile: MappedFile?

    /// Opens `model.safetensors` if it exists, and otherwise the shards of `model.safetensors.index.json`.
    init(folder: String) throws(EngineError) {
        let file: MappedFile
        do {
            file = try MappedFile(path: folder + "/" + Self.single)
        } catch .missingFile(let path) {
            self = try Self.shards(in: folder, insteadOf: path)
            return
        }
        let header = try SafetensorsHeader(of: file, name: Self.single)
        self.init(
            names: [Self.single], files: [file], tensors: header.tensors.mapValues { Place(file: 0, entry: $0) },
            indexFile: nil)
    }

    /// The error that `path` is missing, or that `folder` holds weights in another form.
    static func missing(_ path: String, in folder: String) -> EngineError {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let other = names.sorted().first { name in
            ["safetensors", "bin", "pth", "pt", "gguf"].contains { name.hasSuffix("." + $0) }
        }
        guard let other, !names.contains(single), !names.contains(index) else { return .missingFile(path: path) }
        return .otherWeights(folder: folder, file: other)
    }

    private init(names: [String], files: [MappedFile], tensors: [String: Place], indexFile: MappedFile?) {
        self.names = names
        self.files = files
        self.tensors = tensors
        self.indexFile = indexFile
    }

    /// Opens every shard that the index names. Each tensor must be where the index says.
    private static func shards(in folder: String, insteadOf single: String) throws(EngineError) -> WeightFiles {
        let path = folder + "/" + Self.index
        let indexFile: MappedFile
        do {
            indexFile = try MappedFile(path: path)
        } catch .missingFile {
            throw missing(single, in: folder)
        }
        let index = try readJSON(ShardIndex.self, from: indexFile, file: Self.index)
        let names = Set(index.shards.values).sorted()
        var files: [MappedFile] = []
        var headers: [SafetensorsHeader] = []
        var order: [String: Int] = [:]
        for name in names {
            guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")),
                !name.utf8.contains(0)
            else { throw .shardOutsideFolder(shard: name) }
            let file = try MappedFile(path: folder + "/" + name)
            order[name] = files.count
            headers.append(try SafetensorsHeader(of: file, name: name))
            files.append(file)
        }
        var tensors: [String: Place] = [:]
        for (tensor, shard) in index.shards {
            guard let number = order[shard], let entry = headers[number].tensors[tensor] else {
                throw .inconsistentIndex(tensor: tensor, shard: shard)
            }
            tensors[tensor] = Place(file: number, entry: entry)
        }
        return WeightFiles(names: names, files: files, tensors: tensors, indexFile: indexFile)
    }
}

/// `model.safetensors.index.json`: which shard holds which tensor.
private struct ShardIndex: Decodable {
    let shards: [String: String]

    enum CodingKeys: String, CodingKey { case shards = "weight_map" }
}
