// HMAC-SHA-256 under one key: names of sealed pages, and every key that is derived from another.

internal import CSeal

/// A key of HMAC-SHA-256. Its memory is overwritten when nobody uses it any more. Thread-safe.
@safe
final class KeyedSum: @unchecked Sendable {
    // Unchecked because the memory is written once, in `init`.
    private let mac: UnsafeMutablePointer<cseal_mac>

    /// Prepares a key.
    init(key: Digest) {
        unsafe mac = .allocate(capacity: 1)
        unsafe mac.initialize(to: cseal_mac())
        // Fails only when libcrypto has no SHA-256: nothing can be named then.
        let done = key.withBytes { key in
            unsafe key.withUnsafeBytes { unsafe cseal_mac_begin(mac, $0.bindMemory(to: UInt8.self).baseAddress) }
        }
        precondition(done == 1, "libcrypto cannot compute SHA-256")
    }

    deinit {
        unsafe cseal_erase(mac, MemoryLayout<cseal_mac>.size)
        unsafe mac.deallocate()
    }

    /// The sum over two pieces of memory, one after the other. Nothing is allocated.
    func of(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Digest {
        var sum: InlineArray<32, UInt8> = .init(repeating: 0)
        var output = sum.mutableSpan
        var parts = (first.baseAddress, second.baseAddress)
        var sizes = (first.count, second.count)
        unsafe output.withUnsafeMutableBufferPointer { output in
            unsafe withUnsafePointer(to: &parts) { parts in
                unsafe withUnsafePointer(to: &sizes) { sizes in
                    let parts = unsafe UnsafeRawPointer(parts).assumingMemoryBound(to: UnsafeRawPointer?.self)
                    let sizes = unsafe UnsafeRawPointer(sizes).assumingMemoryBound(to: Int.self)
                    let done = unsafe cseal_mac_sum(mac, parts, sizes, 2, output.baseAddress)
                    precondition(done == 1, "libcrypto cannot compute SHA-256")
                }
            }
        }
        return unsafe Digest(sum.span.bytes)
    }

    /// The sum over `bytes`.
    func of(_ bytes: [UInt8]) -> Digest {
        unsafe bytes.withUnsafeBytes { unsafe of($0, UnsafeRawBufferPointer(start: nil, count: 0)) }
    }

    /// The key for one purpose: the sum over the purpose's name. Names are not each other's beginnings.
    func key(for purpose: String) -> KeyedSum { KeyedSum(key: of(Array(purpose.utf8))) }
}
