// What the URL of an object store may say, and where credentials come from.

import Foundation
import KVFormat
import Testing
import TestKit

@testable import RemoteTier

@Suite("An object store's URL")
struct S3URLTests {
    private func url(_ text: String, _ environment: [String: String] = [:]) throws -> S3URL {
        try S3URL(URLText(text)) { environment[$0] }
    }

    @Test("names bucket, prefix, endpoint and region, and what it leaves out is the environment's")
    func parts() throws {
        let full = try url("s3://my-bucket/a/b/?endpoint=http://host:9000/&region=eu-west-1")
        #expect(full.bucket == "my-bucket" && full.prefix == "a/b/" && full.region == "eu-west-1")
        #expect(full.address("1/i/x") == "http://host:9000/my-bucket/a/b/1/i/x")
        #expect(full.address("", query: "lifecycle=") == "http://host:9000/my-bucket?lifecycle=")
        #expect(full.shown == "s3://my-bucket/a/b/?endpoint=http://host:9000")
        let short = try url("s3://bucket", ["AWS_DEFAULT_REGION": "eu-north-1"])
        #expect(short.prefix.isEmpty && short.endpoint == "https://s3.eu-north-1.amazonaws.com")
        #expect(try url("s3://bucket").region == "us-east-1")
        let other = try url("s3://bucket", ["AWS_ENDPOINT_URL_S3": "https://[::1]:1", "AWS_CA_BUNDLE": "/etc/hosts"])
        #expect(other.endpoint == "https://[::1]:1" && other.ca == "/etc/hosts")
    }

    @Test(
        "that cannot work is refused, without a repetition of what may be a secret",
        arguments: [
            "s3://", "s3:///prefix", "s3://key:s3cret@bucket", "s3://b/a b", "s3://b/..", "s3://../x",
            "s3://b?x=s3cret",
            "s3://b?endpoint=host:9000", "s3://b?endpoint=http://", "s3://b?endpoint=http://u:s3cret@host",
            "s3://b?endpoint=file:///etc", "s3://b?endpoint=http://h/path", "s3://b?region=a/b", "s3://b?region",
            "s3://b?endpoint=http://h&ca=/etc/hosts", "s3://b?ca=/nowhere.pem",
        ])
    func refused(text: String) throws {
        let error = #expect(throws: StoreError.self) { try url(text) }
        guard case .invalidOption(let words)? = error else {
            Issue.record("\(text): \(String(describing: error))")
            return
        }
        #expect(!words.contains("s3cret"))
    }

    @Test("with a time to live is refused: an object store has rules for that")
    func timeToLive() {
        #expect(throws: StoreError.self) {
            try RemoteTier(RemoteOptions(url: "s3://bucket?region=a", timeToLive: .seconds(9)))
        }
    }
}

@Suite("Credentials of an object store")
struct S3CredentialsTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func read(_ environment: [String: String], _ settings: String = "") throws -> S3Credentials {
        let url = try S3URL(URLText("s3://bucket?region=a" + settings)) { _ in nil }
        return try S3Credentials.read(for: url) { environment[$0] }
    }

    private func write(_ text: String, to name: String) throws {
        try FileManager.default.createDirectory(atPath: folder.path(".aws"), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path(name)))
    }

    @Test("come from the environment first, then from the profile in the file")
    func places() throws {
        try write(
            """
            # of this host
            [default]
            aws_access_key_id = A
            aws_secret_access_key = s/e+c=

            [ other ]
            aws_access_key_id=B
            aws_secret_access_key=t
            aws_session_token = long
            """, to: ".aws/credentials")
        let home = ["HOME": folder.path]
        #expect(try read(home) == S3Credentials(key: "A", secret: "s/e+c=", token: nil))
        let other = S3Credentials(key: "B", secret: "t", token: "long")
        #expect(try read(home.merging(["AWS_PROFILE": "other"]) { $1 }) == other)
        #expect(try read(home, "&profile=other") == other)
        let keys = ["AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "S", "AWS_PROFILE": "other"]
        #expect(try read(home.merging(keys) { $1 }) == S3Credentials(key: "K", secret: "S", token: nil))
        #expect(try read(home.merging(keys) { $1 }, "&profile=other") == other)
        #expect(try read(["AWS_SHARED_CREDENTIALS_FILE": folder.path(".aws/credentials")]).key == "A")
        #expect(try read([:], "&credentials_file=\(folder.path(".aws/credentials"))").key == "A")
    }

    @Test("that are missing, or would change the request, are refused without being shown")
    func refused() throws {
        try write("[default]\naws_access_key_id = A\n", to: "half")
        for environment in [
            [:], ["HOME": folder.path], ["AWS_SHARED_CREDENTIALS_FILE": folder.path("half")],
            ["AWS_ACCESS_KEY_ID": "hidden\r\nHost: x", "AWS_SECRET_ACCESS_KEY": "hidden"],
            ["AWS_ACCESS_KEY_ID": "hidden", "AWS_SECRET_ACCESS_KEY": "hidden words"],
        ] {
            let error = #expect(throws: StoreError.self) { try read(environment) }
            #expect(error?.description.contains("hidden") == false)
        }
    }
}
