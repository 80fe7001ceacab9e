// What a remote's URL may say.

import Glibc
import KVFormat
import Testing

@testable import RemoteTier

@Suite("A remote's URL")
struct URLTests {
    private func redis(_ text: String) throws -> RedisURL { try RedisURL(URLText(text)) }

    @Test("names servers, user, database and settings")
    func parts() throws {
        let url = try redis("rediss://me%40x@cache.example,[::1]:7000/3?ca=/a%20b.pem&protocol=2&read=any")
        #expect(url.isTLS && !url.isCluster && url.user == "me@x" && url.database == 3)
        #expect(url.hosts == [NodeAddress(host: "cache.example", port: 6379), NodeAddress(host: "::1", port: 7000)])
        #expect(url.ca == "/a b.pem" && url.version == 2 && url.readsReplicas)
        #expect(url.shown == "rediss://cache.example:6379,[::1]:7000")
        #expect(try redis("valkey+cluster://a:1,b:2").isCluster)
        #expect(try redis("redis://[fe80::1%25lo]").hosts == [NodeAddress(host: "fe80::1%lo", port: 6379)])
        #expect(try redis("rediss://a?ca=/x%40y.pem").ca == "/x@y.pem")
    }

    @Test(
        "that cannot work is refused, without a repetition of what may be a secret",
        arguments: [
            "cache:6379", "ftp://bucket/prefix", "http://a", "redis://", "redis://a:0", "redis://a:b", "redis://a/x",
            "redis://a,,b", "redis+cluster://a/1", "redis://user:s3cret@a", "redis://:s3cret@a", "redis://a?x=s3cret",
            "redis://a?protocol=4", "redis://a?ca=x", "rediss://a?cert=x", "redis://a?read", "redis://a?ca=%zz",
            "redis://a:99999", "redis://[::1", "redis://a b", "redis://a?lookup_ms=0", "s3://b?lookup_ms=1s",
            "redis://user:pass?s3cret@127.0.0.1", "redis://user:pass/s3cret@127.0.0.1", "redis://user:1?s3cret=34@a",
            "redis://user:1234 s3cret@a", "redis://a?s3cret=1", "redis://a?s3cret", "s3://bucket/pass?s3cret@x",
            "s3://key:s3cret@bucket", "redis://a?lookup_ms=1&lookup_ms=2", "redis://a?ca=x&ca=s3cret",
        ])
    func refused(text: String) throws {
        let error = #expect(throws: StoreError.self) { try RemoteURL.all(in: text) }
        guard case .invalidOption(let words)? = error else {
            Issue.record("\(text): \(String(describing: error))")
            return
        }
        #expect(!words.contains("s3cret"))
        if text.hasPrefix("ftp:") { #expect(words.contains("'ftp'") && words.contains("s3")) }
    }

    @Test("says how long a look-up waits, whichever kind it is")
    func lookupTime() throws {
        #expect(try RemoteURL("redis://a").lookupTime == .milliseconds(20))
        #expect(try RemoteURL("redis://a?read=any&lookup_ms=50").lookupTime == .milliseconds(50))
        #expect(try RemoteURL("s3://bucket").lookupTime == .milliseconds(100))
        #expect(try RemoteURL("s3://bucket?lookup_ms=250&region=x").lookupTime == .milliseconds(250))
    }

    @Test("takes the password from a file, and never shows it")
    func passwordFile() throws {
        let file = try PasswordFile("hidden words\n")
        let url = try redis("redis://a?password_file=\(file.path)")
        #expect(try url.password() == Array("hidden words".utf8))
        #expect(throws: StoreError.self) { try redis("redis://a?password_file=/nowhere/x").password() }
    }

    @Test("takes no password from a file that others may read, that is too long, or that is no file")
    func unfitFile() throws {
        func refusal(_ file: PasswordFile) throws -> String {
            let url = try redis("redis://a?password_file=\(file.path)")
            let error = #expect(throws: StoreError.self) { try url.password() }
            return error?.description ?? ""
        }
        let open = try PasswordFile("hidden words")
        unsafe chmod(open.path, 0o640)
        #expect(try refusal(open).contains("others may read"))
        let long = try PasswordFile(String(repeating: "hidden", count: 1000))
        #expect(try refusal(long).contains("more than 4096 bytes"))
        let pipe = try PasswordFile("")
        unsafe unlink(pipe.path)
        unsafe mkfifo(pipe.path, 0o600)
        // Nobody writes into it.
        #expect(try refusal(pipe).contains("is not a file"))
        for file in [open, long, pipe] { #expect(try !refusal(file).contains("hidden")) }
    }
}
