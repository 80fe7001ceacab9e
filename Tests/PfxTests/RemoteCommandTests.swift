// `pfx push` and `pfx pull` between a store and a server.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("pfx push and pfx pull", .serialized)
struct RemoteCommandTests {
    @Test("bring a space to a host that has no folder yet")
    func join() throws {
        let server = try RedisServer()
        let folder = try TemporaryFolder()
        let sample = try Sample()
        let url = "redis://127.0.0.1:\(server.port)"
        let root = sample.model.identity.spaceRoot.description
        let pushed = try Run("push", sample.path, "--remote", url, "--space", root, "--json")
        #expect(pushed.status == 0, "\(pushed.errors)")
        let new = folder.path("new")
        // The first digits name a space of a store; there is none.
        #expect(try Run("pull", new, "--remote", url, "--space", String(root.prefix(12))).status != 0)
        #expect(!FileManager.default.fileExists(atPath: new))
        let pulled = try Run("pull", new, "--remote", url, "--space", root, "--json")
        #expect(pulled.status == 0, "\(pulled.errors)")
        #expect(try pulled.json()["moved"] as? Int == pushed.json()["moved"] as? Int)
        #expect(try Run("verify", new).status == 0)
    }

    @Test("move what the prompts of a file begin with")
    func prompts() throws {
        let server = try RedisServer()
        let sample = try Sample()
        let folder = try TemporaryFolder()
        let url = "redis://127.0.0.1:\(server.port)"
        let root = sample.model.identity.spaceRoot.description
        let list = folder.path("list.jsonl")
        try Data("{\"tokens\": \(Sample.second)}\n\n".utf8).write(to: URL(fileURLWithPath: list))
        let push = ["push", sample.path, "--remote", url, "--space", root, "--json", "--prompts", list]
        let pushed = try Run(push)
        #expect(pushed.status == 0, "\(pushed.errors)")
        #expect(try pushed.json()["moved"] as? Int == 4)
        let pull = ["pull", folder.path("new"), "--remote", url, "--space", root, "--json", "--prompts", list]
        #expect(try Run(pull).json()["moved"] as? Int == 4)
        // Of this one nothing is there, and so not all was done.
        try Data("{\"tokens\": \(Sample.second)}\n{\"tokens\": [7]}\n".utf8).write(to: URL(fileURLWithPath: list))
        for command in [push, pull] {
            let partial = try Run(command.filter { $0 != "--json" })
            #expect(partial.status == 1 && partial.output.contains("2: 1 whole, 0 in part, 1 not at all"), "\(partial)")
        }
    }

    @Test("pfx bench measures a remote, and says at once that there is none")
    func bench() throws {
        let server = try RedisServer()
        let folder = try TemporaryFolder()
        let arguments = [
            "bench", "--model-shape", "demo", "--tokens", "64", "--repeat", "1", "--store", folder.path, "--json",
            "--remote", "redis://127.0.0.1:\(server.port)",
        ]
        let run = try Run(arguments)
        #expect(run.status == 0, "\(run.errors)")
        let steps = try #require(run.json()["rates"] as? [[String: Any]]).compactMap { $0["step"] as? String }
        #expect(steps.count { $0.hasPrefix("remote: ") } == 2)
        server.kill()
        let refused = try Run(arguments)
        #expect(refused.status != 0 && refused.errors.contains("cannot be reached"))
    }

    @Test("take a password that others may read only where a container is given its secrets", .enabled(if: Mounts.work))
    func handedSecrets() throws {
        let server = try RedisServer(["--requirepass", "secret"])
        let folder = try TemporaryFolder()
        let check = """
            mount -t tmpfs none "$1" && printf secret >"$1/password" && chmod 0644 "$1/password" &&
            mount -o "remount,$4" "$1" &&
            exec "$2" remote check "redis://127.0.0.1:$3?password_file=$1/password"
            """
        func run(_ mode: String) throws -> Run {
            let words = [folder.path, ChildProcess.product("pfx"), "\(server.port)", mode]
            return try Run(["-m", "sh", "-c", check, "sh"] + words, of: "/usr/bin/unshare")
        }
        let open = try run("rw")
        #expect(open.status != 0 && open.errors.contains("0600"), "\(open.errors)")
        let locked = try run("ro")
        #expect(locked.status == 0, "\(locked.errors)")
    }
}

/// Whether this user may mount something.
private enum Mounts {
    static let work = geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/bin/unshare")
}
