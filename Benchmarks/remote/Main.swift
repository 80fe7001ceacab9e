// How fast pages come from a remote, compared with what a plain client reaches for the same bytes, whose answers are
// thrown away: of Redis pipelined GETs of hiredis, of an object store `curl --parallel`. Both in turns, in one run.
// tools/bench/remote starts the server and this.
//   remote redis PORT FOLDER ROUNDS
//   remote s3 URL FOLDER ROUNDS LISTER    LISTER lists the packs for curl; both have PREFIX in them

import CHiredis
import Glibc
import PrefixStore

/// Pages of one size, and the engine's memory for them.
@safe
struct Work {
    let model: ModelIdentity
    let tokens: [TokenID]
    let pages: Int
    let memory: UnsafeMutableRawBufferPointer

    /// About 128 MiB of pages of `bytes` bytes.
    init(pageBytes bytes: Int) throws {
        // 32 layers of bf16 rows of 256 numbers: 32 KiB per token.
        let layout = try KVLayout(layers: 32, kvHeads: 2, headDimension: 128, element: .bf16, pageSize: bytes / 32_768)
        let digest = Digest.sha256(Array("\(bytes)".utf8))
        model = try ModelIdentity(
            weights: digest, layout: layout, positions: "none", tokenizer: digest, engine: "remote", engineFormat: 1)
        pages = (128 << 20) / bytes
        tokens = (0..<pages * layout.pageSize).map { TokenID($0) }
        unsafe memory = .allocate(byteCount: pages * layout.bytesPerPage, alignment: 4096)
        // Numbers as attention has them: the exponents are few, the lower bits are not.
        var state: UInt64 = 88_172_645_463_325_252
        for word in unsafe memory.bindMemory(to: UInt16.self).indices {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            let exponent = UInt16(122 + (state >> 60) % 6)
            unsafe memory.storeBytes(
                of: UInt16(truncatingIfNeeded: state) & 0x807F | exponent << 7, toByteOffset: 2 * word, as: UInt16.self)
        }
    }

    func address(ofPage page: Int) -> UnsafeMutableRawPointer {
        guard let base = unsafe memory.baseAddress else { preconditionFailure("there is memory") }
        return unsafe base + page * model.layout.bytesPerPage
    }
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
    let began = ContinuousClock.now
    try body()
    return (ContinuousClock.now - began) / .seconds(1)
}

/// Fetches the values of these keys as fast as hiredis can; returns the bytes.
func raw(_ port: Int32, _ keys: [String]) -> Int {
    let context = unsafe redisConnect("127.0.0.1", port)
    defer { unsafe redisFree(context) }
    var bytes = 0
    for key in keys {
        var words = unsafe [strdup("GET"), strdup(key)]
        var list = unsafe words.map { unsafe UnsafePointer<CChar>($0) }
        unsafe _ = redisAppendCommandArgv(context, 2, &list, nil)
        for place in unsafe words.indices { unsafe free(words[place]) }
        unsafe words = []
    }
    for _ in keys {
        var reply: UnsafeMutableRawPointer?
        guard unsafe redisGetReply(context, &reply) == REDIS_OK, let reply = unsafe reply else { return 0 }
        unsafe bytes += Int(reply.assumingMemoryBound(to: redisReply.self).pointee.len)
        unsafe freeReplyObject(reply)
    }
    return bytes
}

/// A server, and a plain client of it.
struct Rival {
    let name: String
    let url: String
    /// Prepares to fetch the values of pages; what it returns fetches them, and returns the bytes.
    let prepare: ([PrefixHash]) -> () -> Int

    static func redis(_ port: Int32) -> Rival {
        Rival(name: "hiredis", url: "redis://127.0.0.1:\(port)") { hashes in
            { raw(port, hashes.map { "pfx:1:p:\($0)" }) }
        }
    }

    /// - Parameter lister: a command that takes a file to write, and prints the bytes of the packs.
    static func objects(_ url: String, _ folder: String, _ lister: String) -> Rival {
        Rival(name: "curl", url: url) { _ in
            let (list, sum) = ("\(folder)/objects", "\(folder)/bytes")
            guard unsafe system("\(lister) \(list) >\(sum)") == 0, let file = unsafe fopen(sum, "r") else {
                fatal("the packs cannot be listed")
            }
            defer { unsafe fclose(file) }
            var digits = [CChar](repeating: 0, count: 32)
            guard unsafe fgets(&digits, 32, file) != nil, case let bytes = unsafe atol(digits), bytes > 0 else {
                fatal("there are no packs")
            }
            return {
                guard unsafe system("curl --config \(list)") == 0 else { fatal("curl failed") }
                return bytes
            }
        }
    }
}

func measure(_ work: Work, _ rival: Rival, _ folder: String, rounds: Int) throws {
    let url = rival.url
    func store(_ name: String, _ puts: RemotePuts) throws -> Store {
        try Store(
            at: "\(folder)/\(name)",
            options: StoreOptions(
                quota: .gibibytes(2), hotCapacity: .zero, codec: .auto, promotes: false,
                remote: RemoteOptions(url: url, puts: puts, lookupTime: .seconds(1), stallTime: .seconds(2))))
    }
    let layout = work.model.layout
    let first = try store("first-\(layout.bytesPerPage)", .all)
    let space = try first.space(work.model)
    try space.insert(work.tokens) { page in unsafe PageSource(work.address(ofPage: page), capacity: layout.pageSize) }
    try first.flush()
    guard try first.flushRemote(within: .seconds(60)) else { fatal("the pages did not reach the server") }
    try first.close()
    let fetch = rival.prepare(
        PrefixHash.chain(from: space.root, tokens: work.tokens[...], pageSize: layout.pageSize))
    let target = unsafe UnsafeMutableRawBufferPointer.allocate(byteCount: work.memory.count, alignment: 4096)
    defer { unsafe target.deallocate() }
    unsafe target.initializeMemory(as: UInt8.self, repeating: 0)
    var (rawRates, loadRates): ([Double], [Double]) = ([], [])
    for round in 0..<rounds {
        var bytes = 0
        let rawTime = seconds { bytes = fetch() }
        rawRates.append(Double(bytes) / rawTime)
        let host = try store("host-\(layout.bytesPerPage)-\(round)", .none)
        let other = try host.space(work.model)
        let match = try other.match(work.tokens)
        guard match.tokensByTier.remote == work.tokens.count, let base = target.baseAddress else {
            fatal("the remote has \(match.tokensByTier.remote) of \(work.tokens.count) tokens")
        }
        let targets = (0..<work.pages).map { page in
            unsafe PageTarget(base + page * layout.bytesPerPage, capacity: layout.pageSize)
        }
        var loaded = 0
        let loadTime = try seconds { loaded = try match.load(into: targets).tokens }
        guard loaded == work.tokens.count, unsafe memcmp(base, work.address(ofPage: 0), target.count) == 0 else {
            fatal("\(loaded) tokens were loaded, or wrong bytes")
        }
        loadRates.append(Double(bytes) / loadTime)
        try host.close()
    }
    let (rawRate, loadRate) = (rawRates.sorted()[rounds / 2], loadRates.sorted()[rounds / 2])
    say(
        "\(layout.bytesPerPage >> 20) MiB pages, \(work.pages): \(rival.name) \(Int(rawRate / 1e6)) MB/s, load "
            + "\(Int(loadRate / 1e6)) MB/s of the same bytes, ratio \(Int((100 * loadRate / rawRate).rounded())) %")
}

func say(_ line: String) { print(line) }

func fatal(_ line: String) -> Never {
    say(line)
    exit(1)
}

@main
enum Main {
    static func main() throws {
        let words = CommandLine.arguments
        guard words.count > 4, let rounds = Int(words[4]), rounds > 0 else {
            fatal("remote redis|s3 PLACE FOLDER ROUNDS")
        }
        for mebibytes in [1, 2, 4, 8] {
            let rival: Rival
            switch words[1] {
            case "redis": rival = .redis(Int32(words[2]) ?? 0)
            case "s3" where words.count == 6:
                let prefix = "pages-\(mebibytes)"
                let url = words[2].replacing("PREFIX", with: prefix)
                rival = .objects(url, words[3], words[5].replacing("PREFIX", with: prefix))
            default: fatal("remote redis|s3 PLACE FOLDER ROUNDS")
            }
            try measure(Work(pageBytes: mebibytes << 20), rival, words[3], rounds: rounds)
        }
    }
}
