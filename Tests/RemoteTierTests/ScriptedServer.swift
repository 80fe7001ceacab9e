// A server that says what a test wants it to say, right or wrong.

import Foundation
import Threads

@testable import RemoteTier

/// What a scripted server does with a command.
enum ScriptedAnswer: Sendable {
    /// Says this.
    case bytes([UInt8])
    /// Says nothing, ever.
    case silence
    /// Ends the connection.
    case end
    /// Says this so many times, with a pause of so many milliseconds in between, or until the connection has ended.
    case again([UInt8], times: Int, pause: Int)

    /// Says this line.
    static func line(_ text: String) -> ScriptedAnswer { .bytes(Array((text + "\r\n").utf8)) }
}

/// A server on the loopback interface that greets as Redis 5 does, and answers everything else as a test says. Ends
/// with its object.
final class ScriptedServer: Sendable {
    typealias Script = @Sendable (_ words: [String]) -> ScriptedAnswer

    private struct State {
        var accepted = 0
        var asked: [[String]] = []
        var isSending = false
        var open: Set<Int32> = []
    }

    let port: UInt16
    private let listener: Int32
    private let script: Script
    private let state = Guarded(State())

    init(_ script: @escaping Script) throws {
        self.script = script
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let status = unsafe withUnsafeMutablePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, size) + listen(descriptor, 64) + getsockname(descriptor, $0, &size)
            }
        }
        guard status == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        port = UInt16(bigEndian: address.sin_port)
        let (script, state) = (script, state)
        // The threads must not keep the server alive: it ends them.
        try Threads.Thread {
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { break }
                state.withLock {
                    $0.accepted += 1
                    $0.open.insert(connection)
                }
                (try? Threads.Thread { Self.serve(connection, script, state) })?.detach()
            }
        }.detach()
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        state.withLock { state in for connection in state.open { shutdown(connection, Int32(SHUT_RDWR)) } }
    }

    var url: String { "redis://127.0.0.1:\(port)" }
    var address: NodeAddress { NodeAddress(host: "127.0.0.1", port: port) }
    /// Connections that were made so far.
    var connections: Int { state.withLock { $0.accepted } }
    /// Commands that came, without greetings.
    var asked: [[String]] { state.withLock { $0.asked } }
    /// Whether an answer is on its way that is said again and again.
    var isSending: Bool { state.withLock { $0.isSending } }

    /// How many commands of this name came.
    func count(of name: String) -> Int { asked.count { $0.first == name } }

    private static func serve(_ connection: Int32, _ script: Script, _ state: Guarded<State>) {
        var buffer: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 1 << 16)
        reading: while true {
            let count = unsafe recv(connection, &room, room.count, 0)
            guard count > 0 else { break }
            buffer += room[..<count]
            var place = 0
            // A copy of what is left, once: unoptimised, an array moves its elements one by one.
            defer { buffer = Array(buffer[place...]) }
            while let words = command(in: buffer, &place) {
                guard answer(words, connection, script, state) else { break reading }
            }
        }
        _ = state.withLock { $0.open.remove(connection) }
        close(connection)
    }

    private static func answer(
        _ words: [String], _ connection: Int32, _ script: Script, _ state: Guarded<State>
    ) -> Bool {
        let answer: ScriptedAnswer
        switch words[0] {
        case "HELLO": answer = .line("-ERR unknown command")
        case "AUTH", "SELECT", "READONLY", "ASKING": answer = .line("+OK")
        default:
            if words[0] != "PING" { state.withLock { $0.asked.append(words) } }
            answer = script(words)
        }
        switch answer {
        case .bytes(let bytes): return send(bytes, connection)
        case .silence: return true
        case .end: return false
        case .again(let bytes, let times, let pause):
            state.withLock { $0.isSending = true }
            defer { state.withLock { $0.isSending = false } }
            for _ in 0..<times {
                guard send(bytes, connection) else { return false }
                if pause > 0 { usleep(UInt32(pause * 1000)) }
            }
            return true
        }
    }

    private static func send(_ bytes: [UInt8], _ connection: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let rest = Array(bytes[sent...])
            let count = unsafe Glibc.send(connection, rest, rest.count, Int32(MSG_NOSIGNAL))
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// The command at a place, which moves behind it; nil when it is not complete.
    private static func command(in bytes: [UInt8], _ next: inout Int) -> [String]? {
        var place = next
        func number() -> Int? {
            guard let end = bytes[place...].firstIndex(of: 10) else { return nil }
            defer { place = end + 1 }
            return Int(String(decoding: bytes[(place + 1)..<(end - 1)], as: UTF8.self))
        }
        guard place < bytes.count, let count = number() else { return nil }
        var words: [String] = []
        for _ in 0..<count {
            guard place < bytes.count, let size = number(), bytes.count >= place + size + 2 else { return nil }
            // The beginning tells what it is. Of a value of a mebibyte, unoptimised code would make a text for seconds.
            words.append(String(decoding: bytes[place..<place + min(size, 1024)], as: UTF8.self))
            place += size + 2
        }
        next = place
        return words
    }
}

extension ScriptedServer {
    /// The answer to PING, and to `CLUSTER SLOTS` for a cluster of these servers, each with an equal share of the
    /// slots; nil for anything else.
    static func cluster(_ words: [String], of ports: [UInt16]) -> ScriptedAnswer? {
        switch words[0] {
        case "PING": return .line("+PONG")
        case "CLUSTER":
            let share = SlotMap.slots / max(1, ports.count)
            var text = "*\(ports.count)\r\n"
            for (place, port) in ports.enumerated() {
                let last = place == ports.count - 1 ? SlotMap.slots - 1 : (place + 1) * share - 1
                text += "*3\r\n:\(place * share)\r\n:\(last)\r\n*2\r\n$9\r\n127.0.0.1\r\n:\(port)\r\n"
            }
            return .bytes(Array(text.utf8))
        default: return nil
        }
    }

    /// The slot of a key.
    static func slot(of key: String) -> Int { Int(SlotMap.slot(of: Array(key.utf8))) }
}

/// Servers that name each other, and so must know their ports before the first question.
final class Ports: Sendable {
    private let ports = Guarded<[UInt16]>([])
    var all: [UInt16] { ports.withLock { $0 } }
    func set(_ ports: [UInt16]) { self.ports.withLock { $0 = ports } }
}

/// Waits until something holds, for ten seconds at most.
func eventually(_ holds: () -> Bool) -> Bool {
    for _ in 0..<2000 {
        if holds() { return true }
        usleep(5000)
    }
    return false
}

/// Runs `body` on a thread of its own, and waits for its end.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
    let threads = try (0..<count).map { number in try Threads.Thread { body(number) } }
    for thread in threads { thread.join() }
}
