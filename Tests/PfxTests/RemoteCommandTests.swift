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
}
