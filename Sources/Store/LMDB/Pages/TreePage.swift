// One page of a tree: its header, and its nodes behind offsets that are checked before they are followed.

import Glibc

/// A branch or leaf page.
///
/// Behind the header come offsets of 2 bytes, one per node in the order of the keys, up to the bound `lower`. The nodes
/// lie packed between the bound `upper` and the end of the page, in any order.
@safe
struct TreePage {
    let start: UnsafeRawPointer
    let pageSize: Int
    let number: UInt64
    let isLeaf: Bool
    /// Nodes of the page.
    let count: Int
    /// Where the nodes begin.
    let upper: Int

    /// Reads the header of a page. Throws `.damaged` when it is not that of a page of a tree with this number.
    init(_ number: UInt64, in pages: PageMap) throws(LMDBError) {
        let start = unsafe try pages.address(number)
        let header = unsafe PageHeader(start)
        guard header.number == number else { throw .damaged("a page has another number than its place") }
        guard header.flags == PageHeader.leaf || header.flags == PageHeader.branch else {
            throw .damaged("a page of a tree is of no kind that a tree has")
        }
        let lower = Int(header.pages & 0xFFFF)
        upper = Int(header.pages >> 16)
        guard lower > PageMap.header, lower <= upper, upper <= pages.pageSize, lower % 2 == 0 else {
            throw .damaged("a page of a tree has impossible bounds")
        }
        unsafe self.start = unsafe start
        pageSize = pages.pageSize
        self.number = number
        isLeaf = header.flags == PageHeader.leaf
        count = (lower - PageMap.header) / 2
    }

    /// The bytes of the file between the list of the nodes and the nodes, which mean nothing.
    var gap: Range<Int> {
        let base = Int(number) * pageSize
        return base + PageMap.header + 2 * count..<base + upper
    }

    /// The node with this index, which must be less than `count`.
    func node(_ index: Int) throws(LMDBError) -> TreeNode {
        precondition(index >= 0 && index < count, "a page has no such node")
        let offset = Int(unsafe start.loadUnaligned(fromByteOffset: PageMap.header + 2 * index, as: UInt16.self))
        guard offset >= upper, offset + TreeNode.header <= pageSize else {
            throw .damaged("a node lies outside its page")
        }
        let node = unsafe TreeNode(start + offset, offset: offset)
        guard offset + TreeNode.header + node.keyBytes <= pageSize else {
            throw .damaged("a key reaches outside its page")
        }
        return node
    }

    /// The first node whose key is not less than `key`, and whether it has this key. The first key of a branch page
    /// stands for all that is less than the second.
    func search(_ key: UnsafeRawBufferPointer, _ order: KeyOrder) throws(LMDBError) -> (index: Int, isEqual: Bool) {
        var low = isLeaf ? 0 : 1
        var high = count
        while low < high {
            let middle = (low + high) / 2
            let found = unsafe order.compare(try node(middle).key, key)
            if found == 0 { return (middle, true) }
            if found < 0 { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }

    /// The node of a branch page below which `key` lies.
    func child(for key: UnsafeRawBufferPointer, _ order: KeyOrder) throws(LMDBError) -> Int {
        let place = unsafe try search(key, order)
        return place.isEqual ? place.index : place.index - 1
    }

    /// The bytes that a leaf has for one of its nodes: the value, or for a large one the number of its first page.
    func inlineBytes(_ node: TreeNode) throws(LMDBError) -> UnsafeRawBufferPointer {
        let count = node.isLarge ? 8 : node.valueBytes
        let first = TreeNode.header + node.keyBytes
        guard node.offset + first + count <= pageSize else { throw .damaged("a value reaches outside its page") }
        return unsafe UnsafeRawBufferPointer(start: node.start + first, count: count)
    }

    /// The value of a leaf's node.
    func value(_ node: TreeNode, in pages: PageMap, givingBack: Bool = false) throws(LMDBError)
        -> UnsafeRawBufferPointer
    {
        let bytes = unsafe try inlineBytes(node)
        guard node.isLarge else { return unsafe bytes }
        let number = unsafe bytes.loadUnaligned(as: UInt64.self)
        return unsafe try pages.overflow(number, byteCount: node.valueBytes, givingBack: givingBack)
    }
}

/// One node of a page: 8 bytes of header, a key, and in a leaf a value or the place of one.
@safe
struct TreeNode {
    static let header = 8
    /// `F_BIGDATA`: the value lies in pages of its own.
    static let large: UInt16 = 0x01
    /// `F_SUBDATA`: the value describes a tree.
    static let tree: UInt16 = 0x02

    let start: UnsafeRawPointer
    /// Where it lies in its page.
    let offset: Int
    private let fields: UInt64

    /// Reads a header of 8 bytes that lies inside a page.
    init(_ start: UnsafeRawPointer, offset: Int) {
        unsafe self.start = start
        self.offset = offset
        fields = unsafe start.loadUnaligned(as: UInt64.self)
    }

    var flags: UInt16 { UInt16(truncatingIfNeeded: fields >> 32) }
    var keyBytes: Int { Int(fields >> 48) }
    /// Bytes of a leaf's value.
    var valueBytes: Int { Int(fields & 0xFFFF_FFFF) }
    var isLarge: Bool { flags & Self.large != 0 }
    /// The page below a branch's node.
    var child: UInt64 { fields & 0xFFFF_FFFF_FFFF }

    /// The key.
    var key: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: start + Self.header, count: keyBytes) }
}

/// How the keys of a tree are ordered.
enum KeyOrder {
    /// As unsigned bytes; a key comes before longer keys that begin with it.
    case bytes
    /// As integers of the machine: LMDB's list of free pages.
    case integers

    /// Less than, equal to or more than 0, as the first key is less than, equal to or more than the second.
    func compare(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Int {
        if self == .integers, first.count == 8, second.count == 8 {
            let (first, second) = unsafe (
                first.loadUnaligned(as: UInt64.self), second.loadUnaligned(as: UInt64.self)
            )
            return first < second ? -1 : first == second ? 0 : 1
        }
        let common = min(first.count, second.count)
        guard common > 0, let left = first.baseAddress, let right = second.baseAddress else {
            return first.count - second.count
        }
        let order = unsafe memcmp(left, right, common)
        return order == 0 ? first.count - second.count : Int(order)
    }
}
