// The tier on real servers: alone, with passwords, with TLS.

import Foundation
import KVFormat
import PageCodec
import Records
import StoreTestKit
import Testing
import TestKit
import Threads

@testable import RemoteTier

/// One process starts few servers at a time, so that slow machines answer in time.
@Suite("A remote tier", .serialized)
struct ServerTests {
    let pages: StoredPages
    let team = Team(helpers: 0)

    init() throws {
        pages = try StoredPages(
            "server", layout: .small, sequences: [(0..<100).map { TokenID($0) }, (0..<90).map { TokenID($0 / 40) }])
    }

    private func tier(_ url: String, _ change: (inout RemoteOptions) -> Void = { _ in }) throws -> RemoteTier {
        var options = RemoteOptions(url: url, lookupTime: .milliseconds(500))
        change(&options)
        return try RemoteTier(options)
    }

    /// Puts all pages, and loads all sequences with every byte compared.
    private func roundTrip(_ url: String) throws {
        let tier = try tier(url)
        defer { tier.close() }
        #expect(try tier.take(pages.records).allSatisfy { $0 == .stored })
        #expect(try tier.take(pages.records).allSatisfy { $0 == .alreadyThere })
        #expect(try tier.held(pages.records.map(\.name.hash), usedAt: nil).count == pages.records.count)
        let loader = RecordLoader(team)
        for sequence in pages.sequences { #expect(try pages.load(sequence, from: tier, loader) == sequence.count) }
    }

    @Test("lends what it has taken, byte for byte, in either version of the protocol", arguments: [2, 3])
    func versions(version: Int) throws {
        let server = try RedisServer()
        try roundTrip(server.url + "?protocol=\(version)")
        #expect(try server.ask("dbsize") == "\(pages.records.count)")
    }

    @Test("keeps to its database")
    func database() throws {
        let server = try RedisServer()
        try roundTrip(server.url + "/3")
        #expect(try server.ask("dbsize") == "0")
        #expect(try server.ask("-n", "3", "dbsize") == "\(pages.records.count)")
    }

    @Test("logs in with user and password, and says who refuses it without them", arguments: [2, 3])
    func access(version: Int) throws {
        let server = try RedisServer([
            "--user", "default", "off", "--user", "store", "on", ">open-sesame", "~pfx:*", "+@all",
        ])
        let right = try PasswordFile("open-sesame")
        let wrong = try PasswordFile("open-barley")
        let place = "127.0.0.1:\(server.port)"
        try roundTrip("redis://store@\(place)?protocol=\(version)&password_file=\(right.path)")
        for url in ["redis://\(place)", "redis://store@\(place)?password_file=\(wrong.path)"] {
            let tier = try tier(url + (url.contains("?") ? "&" : "?") + "protocol=\(version)")
            let error = #expect(throws: StoreError.self) { try tier.held([.zero], usedAt: nil) }
            #expect(error?.description.contains("open") == false)
            #expect(error?.description.contains("it refuses") == true, "\(String(describing: error))")
            tier.close()
        }
    }

    @Test("a user without the right to write reads all the same")
    func readOnlyUser() throws {
        let server = try RedisServer([
            "--user", "reader", "on", ">open-sesame", "~pfx:*", "-@all", "+@connection", "+get", "+exists",
        ])
        try roundTrip(server.url)
        let right = try PasswordFile("open-sesame")
        let tier = try tier("redis://reader@127.0.0.1:\(server.port)?password_file=\(right.path)")
        defer { tier.close() }
        #expect(try pages.load(pages.sequences[0], from: tier, RecordLoader(team)) == pages.sequences[0].count)
        try server.ask("flushall")
        #expect(throws: StoreError.self) { try tier.take(pages.records) }
    }

    @Test("a server that is full takes no more, lends what it has, and is no error")
    func full() throws {
        let server = try RedisServer(["--maxmemory", "100mb", "--maxmemory-policy", "noeviction"])
        try roundTrip(server.url)
        try server.ask("config", "set", "maxmemory", "1")
        let more = try StoredPages("full", layout: .small, sequences: [(0..<50).map { TokenID($0) }])
        let tier = try tier(server.url)
        defer { tier.close() }
        #expect(try tier.take(more.records).allSatisfy { $0 == .noRoom })
        #expect(try pages.load(pages.sequences[0], from: tier, RecordLoader(team)) == pages.sequences[0].count)
    }

    @Test("pages go when their time is up")
    func timeToLive() throws {
        let server = try RedisServer()
        let tier = try tier(server.url) { $0.timeToLive = .seconds(100) }
        defer { tier.close() }
        _ = try tier.take(pages.records)
        let key = String(decoding: RedisClient.key(ofPage: pages.records[0].name.hash), as: UTF8.self)
        #expect((95...100).contains(Int(try server.ask("ttl", key)) ?? 0))
        try server.ask("expire", key, "0")
        #expect(try tier.held(pages.records.map(\.name.hash), usedAt: nil).count == pages.records.count - 1)
    }

    @Test("a value that was damaged is a miss, and the next put replaces it")
    func damaged() throws {
        let server = try RedisServer()
        let tier = try tier(server.url)
        defer { tier.close() }
        _ = try tier.take(pages.records)
        let name = pages.records[2].name
        let key = String(decoding: RedisClient.key(ofPage: name.hash), as: UTF8.self)
        try server.ask("setrange", key, "200", "x!")
        let request = RecordRequest(hash: name.hash, tokenCount: name.tokens.count)
        try tier.lend([request], of: pages.layout) { records in
            // A frame that is damaged shows where it is decoded.
            let isSound = records[0].map { (try? $0.verifyPayload()) != nil } ?? false
            #expect(!isSound)
            return records[0] == nil ? [:] : [0: .badHeader]
        }
        #expect(tier.isDamaged(name.hash))
        #expect(try tier.take([pages.records[2]]) == [.stored])
        #expect(try pages.load(pages.sequences[0], from: tier, RecordLoader(team)) == pages.sequences[0].count)
    }

    @Test("keeps descriptors of spaces, and believes none that was changed")
    func descriptors() throws {
        let server = try RedisServer()
        let tier = try tier(server.url)
        defer { tier.close() }
        #expect(try tier.descriptor(of: pages.root) == nil)
        try tier.register(pages.descriptor)
        #expect(try tier.descriptor(of: pages.root) == pages.descriptor)
        try server.ask("setrange", String(decoding: RedisClient.key(ofSpace: pages.root), as: UTF8.self), "40", "x")
        #expect(try tier.descriptor(of: pages.root) == nil)
    }

    @Test("speaks TLS with a server that proves its name, and with no other")
    func tls() throws {
        let files = try Certificates()
        let port = try RedisServer.freePort()
        let server = try RedisServer([
            "--tls-port", "\(port)", "--tls-cert-file", files.path("server.crt"), "--tls-key-file",
            files.path("server.key"), "--tls-ca-cert-file", files.path("ca.crt"), "--tls-auth-clients", "optional",
        ])
        defer { server.kill() }
        let ca = "?ca=\(files.path("ca.crt"))"
        try roundTrip("rediss://127.0.0.1:\(port)\(ca)&server_name=cache.test")
        let own = "&cert=\(files.path("server.crt"))&key=\(files.path("server.key"))"
        try server.ask("flushall")
        try server.ask("config", "set", "tls-auth-clients", "yes")
        try roundTrip("rediss://127.0.0.1:\(port)\(ca)&server_name=cache.test\(own)")
        for url in [
            "rediss://127.0.0.1:\(port)\(ca)&server_name=other.test\(own)",
            "rediss://127.0.0.1:\(port)\(ca)\(own)", "rediss://127.0.0.1:\(port)?server_name=cache.test",
        ] {
            let tier = try tier(url)
            let error = #expect(throws: StoreError.self) { try tier.held([.zero], usedAt: nil) }
            #expect(error?.description.contains("not trusted") == true, "\(url): \(String(describing: error))")
            tier.close()
        }
        #expect(throws: StoreError.self) { try self.tier("rediss://127.0.0.1:\(port)?ca=/nowhere.pem") }
    }
}

/// An authority of its own, and the certificate of a server.
struct Certificates {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        let extensions = folder.path("names")
        try Data("subjectAltName=DNS:cache.test,DNS:localhost".utf8).write(to: URL(fileURLWithPath: extensions))
        try openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority", "-keyout",
            path("ca.key"), "-out", path("ca.crt"))
        try openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=cache", "-keyout", path("server.key"), "-out",
            path("server.csr"))
        try openssl(
            "x509", "-req", "-in", path("server.csr"), "-CA", path("ca.crt"), "-CAkey", path("ca.key"),
            "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", path("server.crt"))
    }

    func path(_ name: String) -> String { folder.path(name) }

    /// Makes `locked.key`, the server's key under a pass phrase.
    func encryptServerKey(_ phrase: String) throws {
        try openssl(
            "rsa", "-in", path("server.key"), "-aes128", "-passout", "pass:\(phrase)", "-out", path("locked.key"))
    }

    private func openssl(_ arguments: String...) throws {
        let quiet = unsafe open("/dev/null", O_WRONLY)
        defer { close(quiet) }
        let status = try ChildProcess("/usr/bin/openssl", arguments, output: quiet, errors: quiet).wait()
        guard status == 0 else { throw RedisServer.Unusable() }
    }
}

extension RedisServer {
    /// A certificate could not be made.
    struct Unusable: Error {}
}
