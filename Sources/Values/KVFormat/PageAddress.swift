// Where the planes of a page lie in memory: what `PageSource` and `PageTarget` have in common.

/// The memory of one page: in one piece, one tensor per plane, or rows that lie anywhere. It knows how many tokens it
/// has room for.
@safe
package enum PageAddress: @unchecked Sendable {
    // Unchecked: addresses and sizes. The caller is responsible for the memory behind them, as `PageSource` says.

    /// Plane `p` begins at `base + capacity * (bytes of one token in the planes before p)`.
    case onePiece(base: UnsafeMutableRawPointer, capacity: Int)
    /// Plane `p` begins at `planes[p] + tokenOffset * (bytes of one token in p)`, in a tensor of `capacity` tokens.
    case tensors(UnsafeBufferPointer<UnsafeMutableRawPointer>, tokenOffset: Int, capacity: Int)
    /// Token `skipped + i` of the page is token `first + i` of the rows; the tokens before are left out.
    case rows(RowMemory, first: Int, skipped: Int)

    /// Whether each plane's tokens lie one after the other, so that a plane has one address.
    package var isPacked: Bool {
        if case .rows = self { false } else { true }
    }

    /// Whether any of these planes has a place.
    package func wants(planes: Range<Int>) -> Bool {
        guard case .rows(let rows, _, _) = self else { return true }
        return planes.contains { rows.has(plane: $0) }
    }

    /// Whether the memory is that of all tokens and planes of a page.
    package var isWhole: Bool {
        guard case .rows(let rows, _, let skipped) = self else { return true }
        return skipped == 0 && rows.hasAllPlanes
    }

    /// The address of plane `plane`'s first token. Only for packed planes.
    @unsafe
    package func address(ofPlane plane: Int, _ layout: KVLayout) -> UnsafeMutableRawPointer {
        switch self {
        case .onePiece(let base, let capacity): unsafe base + capacity * layout.bytesPerToken(beforePlane: plane)
        case .tensors(let planes, let offset, _): unsafe planes[plane] + offset * layout.bytesPerToken(inPlane: plane)
        case .rows: preconditionFailure("scattered rows have no one address")
        }
    }

    /// Why there is no room for `tokens` tokens of each plane; nil when there is.
    package func misfit(tokens: Int, _ layout: KVLayout) -> String? {
        switch self {
        case .onePiece(_, let capacity):
            return tokens <= capacity ? nil : "\(tokens) tokens in memory for \(capacity)"
        case .tensors(let planes, let offset, let capacity):
            guard planes.count == layout.planeCount else {
                return "\(planes.count) tensors for \(layout.planeCount) planes"
            }
            guard offset >= 0, tokens <= capacity, offset <= capacity - tokens else {
                return "\(tokens) tokens from token \(offset) on in tensors for \(capacity)"
            }
            return nil
        case .rows(let rows, let first, let skipped):
            return rows.misfit(tokens: first..<first + max(0, tokens - skipped), layout)
        }
    }
}
