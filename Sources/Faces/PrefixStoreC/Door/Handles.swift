// Handles: what C programs hold in place of objects.
//
// A handle is a number in the form of a pointer, so that C tells the types apart, and is never followed. It names a
// place in a table and how often that place was used, so that one that was given back is refused, whatever came to its
// place.
//
//     bits 0..<20    the place, from 1
//     bits 20..<32   the fork: how many forks this process is away from the first that used the library
//     bits 32..<63   the use of the place
//
// A forked child gets a table of its own, since the parent's lock may be held by a thread that the child does not have.
// The parent's table is left as it is, with all that is open in it: nothing of that may be ended by the child.

internal import CPrefixStore
internal import PrefixStore
internal import Synchronization
internal import Threads

/// The handles of this process. Thread-safe.
@safe
final class Handles: Sendable {
    fileprivate struct Place {
        var use: UInt64 = 1
        var object: (any AnyObject & Sendable)?
        var store: UInt = 0
    }

    fileprivate struct Table {
        var places: [Place] = []
        var free: [Int] = []
    }

    private static let placeBits = 20
    private static let forkBits = 12
    fileprivate static let uses: UInt64 = 1 << 31

    private let table = Guarded(Table())
    private let process = OwnProcess()
    private let fork: UInt
    /// The table of the process that this one was forked from.
    private let inherited: Handles?

    private init(inherited: Handles?) {
        self.inherited = inherited
        fork = inherited.map { ($0.fork + 1) & (1 << UInt(Self.forkBits) - 1) } ?? 0
    }

    // MARK: One table per process

    /// The address of an object that was made by `Unmanaged.passRetained` and is never released; 0 before the first.
    private static let current = Atomic<UInt>(0)

    /// The table of this process.
    static var ofProcess: Handles {
        while true {
            let address = current.load(ordering: .acquiring)
            let known = unsafe UnsafeRawPointer(bitPattern: address)
                .map { unsafe Unmanaged<Handles>.fromOpaque($0).takeUnretainedValue() }
            if let known, known.process.isHere { return known }
            let fresh = Handles(inherited: known)
            let retained = unsafe Unmanaged.passRetained(fresh)
            let own = unsafe UInt(bitPattern: retained.toOpaque())
            let exchange = current.compareExchange(
                expected: address, desired: own, ordering: .acquiringAndReleasing)
            if exchange.exchanged { return fresh }
            unsafe retained.release()
        }
    }

    // MARK: Giving and taking back

    /// A handle on `object`. One that came from a store goes with that store.
    ///
    /// - Throws: `PFX_TOO_MANY`; or, when the store's handle was given back meanwhile, `PFX_INVALID_HANDLE`.
    func give(_ object: any AnyObject & Sendable, of store: Handle? = nil) throws -> OpaquePointer {
        try unsafe table.withLock { table in
            if let store { _ = try table.place(store) }
            let index: Int
            if let free = table.free.popLast() {
                index = free
            } else {
                guard table.places.count < 1 << Self.placeBits - 1 else {
                    throw Refusal(code: PFX_TOO_MANY, text: "A process has too many handles. Give some back.")
                }
                index = table.places.count
                table.places.append(Place())
            }
            table.places[index].object = object
            table.places[index].store = store?.number ?? 0
            let use = UInt(table.places[index].use) << 32
            let handle = use | fork << UInt(Self.placeBits) | UInt(index + 1)
            guard let pointer = unsafe OpaquePointer(bitPattern: handle) else {
                preconditionFailure("the place of a handle is not 0")
            }
            return unsafe pointer
        }
    }

    /// The object of a handle, and the store that it goes with.
    ///
    /// - Throws: `PFX_INVALID_HANDLE`, `PFX_FORKED`.
    func find<Object: AnyObject>(_ handle: Handle, as type: Object.Type) throws -> (object: Object, store: Handle) {
        let place = try table.withLock { table in try table.place(handle) }
        guard let object = place.object as? Object else { throw Self.unknown }
        return (object, Handle(number: place.store, fork: fork))
    }

    /// Takes a handle back that no other goes with: any but a store's.
    func take<Object: AnyObject>(_ handle: Handle, as type: Object.Type) throws -> Object {
        try table.withLock { table in
            guard let object = try table.place(handle).object as? Object else { throw Self.unknown }
            _ = table.clear(handle.index)
            return object
        }
    }

    /// Takes the handle of a store back, and all that go with it.
    ///
    /// - Returns: the store, and the objects of the others.
    func take(store handle: Handle) throws -> (store: Store, others: [any AnyObject & Sendable]) {
        try table.withLock { table in
            guard let store = try table.place(handle).object as? Store else { throw Self.unknown }
            let others = table.places.indices.filter {
                table.places[$0].object != nil && table.places[$0].store == handle.number
            }
            _ = table.clear(handle.index)
            return (store, others.compactMap { table.clear($0) })
        }
    }

    static let unknown = Refusal(
        code: PFX_INVALID_HANDLE,
        text: "The handle was given back, is of another type, or is no handle. Use each as long as it is open.")

    /// The number of a handle, after the look at what process it is of.
    func handle(_ pointer: OpaquePointer?) throws -> Handle {
        let number = UInt(bitPattern: pointer)
        guard number != 0 else { throw Refusal(code: PFX_INVALID_HANDLE, text: "A handle is NULL. Give one.") }
        guard number >> UInt(Self.placeBits) & (1 << UInt(Self.forkBits) - 1) == fork else {
            // Of an earlier fork it is the parent's; of a later one it was never handed out.
            if number >> UInt(Self.placeBits) & (1 << UInt(Self.forkBits) - 1) < fork { throw StoreError.forked }
            throw Self.unknown
        }
        return Handle(number: number, fork: fork)
    }
}

/// A handle of this process, as a number.
struct Handle {
    let number: UInt
    fileprivate let fork: UInt
    fileprivate var index: Int { Int(number & (1 << 20 - 1)) - 1 }
    fileprivate var use: UInt64 { UInt64(number >> 32) }
}

extension Handles.Table {
    /// The place of a handle that is good.
    fileprivate func place(_ handle: Handle) throws -> Handles.Place {
        guard places.indices.contains(handle.index), places[handle.index].use == handle.use,
            places[handle.index].object != nil
        else { throw Handles.unknown }
        return places[handle.index]
    }

    /// Empties a place for its next use. One that was used too often is not used again.
    fileprivate mutating func clear(_ index: Int) -> (any AnyObject & Sendable)? {
        defer {
            places[index].object = nil
            places[index].store = 0
            places[index].use += 1
            if places[index].use < Handles.uses { free.append(index) }
        }
        return places[index].object
    }
}

extension OpaquePointer? {
    /// The object of the handle, and the store that it goes with.
    func found<Object: AnyObject>(_ type: Object.Type) throws -> (object: Object, store: Handle) {
        let handles = Handles.ofProcess
        return try unsafe handles.find(handles.handle(self), as: type)
    }

    /// The handle as a number.
    func handle() throws -> Handle { try unsafe Handles.ofProcess.handle(self) }

    /// The object of the handle.
    func object<Object: AnyObject>(_ type: Object.Type) throws -> Object { try unsafe found(type).object }

    /// Takes the handle back, of anything but a store; nothing for NULL.
    func giveBack<Object: AnyObject>(_ type: Object.Type) throws -> Object? {
        guard unsafe self != nil else { return nil }
        let handles = Handles.ofProcess
        return try unsafe handles.take(handles.handle(self), as: type)
    }

    /// Takes the handle of a store back, with all that go with it; nothing for NULL.
    func giveBackStore() throws -> (store: Store, others: [any AnyObject & Sendable])? {
        guard unsafe self != nil else { return nil }
        let handles = Handles.ofProcess
        return try unsafe handles.take(store: handles.handle(self))
    }
}

extension UnsafeMutablePointer where Pointee == OpaquePointer? {
    /// Puts a new handle where the caller wants it.
    func give(_ object: any AnyObject & Sendable, of store: Handle? = nil) throws {
        unsafe pointee = try Handles.ofProcess.give(object, of: store)
    }
}

/// The place that a call writes a new handle to, NULL until then.
func place(
    _ pointer: UnsafeMutablePointer<OpaquePointer?>?, _ name: String
) throws -> UnsafeMutablePointer<OpaquePointer?> {
    guard let pointer = unsafe pointer else { throw Refusal.argument("\(name) is NULL") }
    unsafe pointer.pointee = nil
    return unsafe pointer
}
