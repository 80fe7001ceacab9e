// A layout as it is stored: runs of equal layers.

extension KVLayout {
    /// The planes as a field of the space descriptor. Integers are little-endian and have 4 bytes, except where another
    /// size is given.
    ///
    /// | field | |
    /// | --- | --- |
    /// | runs | how many; 0 for a space of blocks |
    /// | per run: layers | number of consecutive layers with equal planes, as many as possible |
    /// | planes | number of planes in each of these layers |
    /// | per plane: row bytes | |
    /// | window | |
    /// | element | 1 byte, then 3 bytes of 0 |
    /// In place of runs, a space of blocks has the element of its blocks (1 byte) and 3 bytes of 0.
    var encodedPlanes: [UInt8] {
        let runs = runs
        var bytes = Self.integer(runs.count)
        if runs.isEmpty { bytes += Self.integer(Int((element ?? .opaque).rawValue)) }
        for run in runs {
            bytes += Self.integer(run.layers) + Self.integer(run.planes.count)
            for plane in run.planes {
                bytes += Self.integer(plane.rowBytes) + Self.integer(plane.window)
                bytes += Self.integer(Int(plane.element.rawValue))
            }
        }
        return bytes
    }

    /// Reads what `encodedPlanes` wrote; nil for anything else, such as two runs that could be one.
    init?(encodedPlanes bytes: [UInt8], pageSize: Int) {
        var integers = stride(from: 0, to: bytes.count - 3, by: 4).makeIterator()
        func next() -> Int? {
            integers.next().map { at in (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) } }
        }
        func nextElement() -> KVElement? { next().flatMap { UInt8(exactly: $0) }.flatMap { KVElement(rawValue: $0) } }
        guard let runs = next() else { return nil }
        if runs == 0 {
            guard let element = nextElement() else { return nil }
            self = .blocks(element: element)
        } else {
            var planes: [KVPlane] = []
            var layer = 0
            for _ in 0..<runs {
                guard let layers = next(), let count = next(), layers > 0, count > 0,
                    layers <= Limits.layers.upperBound, count <= Limits.planes.upperBound,
                    planes.count + layers * count <= Limits.planes.upperBound
                else { return nil }
                var run: [KVPlane] = []
                for _ in 0..<count {
                    guard let rowBytes = next(), let window = next(), let element = nextElement() else { return nil }
                    run.append(KVPlane(layer: 0, rowBytes: rowBytes, element: element, window: window))
                }
                for _ in 0..<layers {
                    planes += run.map { $0.inLayer(layer) }
                    layer += 1
                }
            }
            guard let made = try? KVLayout(planes: planes, pageSize: pageSize) else { return nil }
            self = made
        }
        guard encodedPlanes == bytes, self.pageSize == pageSize else { return nil }
    }

    /// Runs of consecutive layers with equal planes, each as long as possible.
    private var runs: [(layers: Int, planes: ArraySlice<KVPlane>)] {
        var runs: [(layers: Int, planes: ArraySlice<KVPlane>)] = []
        var rest = planes[...]
        while let first = rest.first {
            let layer = rest.prefix { $0.layer == first.layer }
            rest = rest.dropFirst(layer.count)
            if let last = runs.last, last.planes.elementsEqual(layer, by: { $0.isAlike($1) }) {
                runs[runs.count - 1].layers += 1
            } else {
                runs.append((1, layer))
            }
        }
        return runs
    }

    /// The layout in a few words: `32 layers of 2048+2048 bytes per token, bf16`.
    var summary: String {
        guard let element else {
            let elements = Set(planes.map(\.element)).map(\.description).sorted().joined(separator: ", ")
            return "\(layers) layers of \(planeCount) planes, \(bytesPerToken) bytes per token, \(elements)"
        }
        if isOfBlocks { return "blocks of \(element)" }
        let runs = runs
        let rows = runs[0].planes.map { "\($0.rowBytes)" }.joined(separator: "+")
        let width = runs.count == 1 ? rows : "\(planeCount) planes, \(bytesPerToken)"
        return "\(layers) layers of \(width) bytes per token, \(element)"
    }

    private static func integer(_ value: Int) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}

extension KVPlane {
    /// Whether two planes are equal except for their layers.
    fileprivate func isAlike(_ other: KVPlane) -> Bool { inLayer(other.layer) == other }

    fileprivate func inLayer(_ layer: Int) -> KVPlane {
        KVPlane(layer: layer, rowBytes: rowBytes, element: element, window: window)
    }
}
