// `pfx` on a sealed store: what it shows without the key, and what with it; rekey and forget.

import Foundation
import PrefixStore
import StoreTestKit
import Testing

@Suite("The program on a sealed store", .serialized)
struct SealedStoreTests {
    private let path = NSTemporaryDirectory() + "/pfx-sealed-" + UUID().uuidString
    private let prompt = (0..<40).map { TokenID(7000 + $0) }
    private let files: [String]
    private let root: String

    /// A store of three pages, and two key files.
    init() throws {
        files = [path + ".key", path + ".new"]
        for (number, file) in files.enumerated() {
            let key = Data((0..<32).map { UInt8($0 + number + 1) })
            try key.write(to: URL(fileURLWithPath: file))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        }
        let options = StoreOptions(quota: .mebibytes(64), sealingKey: try SealingKey(file: files[0]))
        let store = try Store(at: path, options: options)
        let model = try GeneratedModel("demo")
        let space = try store.space(model.identity)
        try space.insertGenerated(prompt, by: model)
        try store.close()
        root = space.root.short
    }

    private func clean() { for file in files + [path] { try? FileManager.default.removeItem(atPath: file) } }

    @Test("lists it without its key, and says that it is sealed")
    func blind() throws {
        defer { clean() }
        for (command, words) in [
            (["info", path], "3, 1 of them tails"), (["spaces", path], "sealed"), (["tree", path], ", sealed\n"),
            (["ls", path], "tail"),
        ] {
            let run = try Run(command)
            #expect(run.status == 0 && run.output.contains(words), "\(command): \(run.output)\(run.errors)")
            #expect(!run.output.contains("7000"))
        }
        let revealed = try Run("tree", path, "--reveal")
        #expect(revealed.status == 69 && revealed.errors.contains("is sealed, and its key was not given"))
    }

    @Test("is not called sound by a check that has no key, or another one")
    func unread() throws {
        defer { clean() }
        for key in [[], ["--key-file", files[1]]] {
            let run = try Run(["verify", path] + key)
            #expect(run.status == 1 && run.output.hasPrefix("Sound as far as it could be read: "), "\(run)")
            #expect(run.output.contains("NOT CHECKED: 4 of spaces, pages and side states"), "\(run.output)")
            #expect(run.output.contains(", not with ") == !key.isEmpty)
        }
        let json = try Run("verify", path, "--json").json()
        #expect((json["unread_count"] as? Int) == 4, "\(json)")
    }

    @Test("shows all of it with its key, from a file, a descriptor or the environment")
    func seeing() throws {
        defer { clean() }
        #expect(try Run("tree", path, "--reveal", "--key-file", files[0]).output.contains("7000 7001"))
        let verified = try Run("verify", path, "--key-file", files[0])
        #expect(verified.status == 0 && verified.output.hasPrefix("Sound: 3 pages"), "\(verified.output)")
        #expect(!verified.output.contains("sealed"))
        let hex = (1...32).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        #expect(try Run(["tree", path, "--reveal"], environment: ["PFX_KEY": hex]).output.contains("7000 7001"))
        #expect(try Run("info", path, "--key-file", path + ".none").status == 66)
        for wrong in [["--key-fd", "77"], ["--key-file", files[0], "--key-fd", "0"]] {
            #expect(try Run(["info", path] + wrong).status == 64, "\(wrong)")
        }
    }

    @Test("gives it another key, and forgets it")
    func working() throws {
        defer { clean() }
        let rekeyed = try Run("rekey", path, "--key-file", files[0], "--new-key-file", files[1])
        #expect(rekeyed.status == 0 && rekeyed.output.hasPrefix("1 sealed space under the key "), "\(rekeyed)")
        let refused = try Run("rekey", path, "--key-file", files[0], "--new-key-file", files[0])
        #expect(refused.status == 69 && refused.errors.contains("are sealed with the key"), "\(refused)")
        #expect(try Run("tree", path, "--reveal", "--key-file", files[1]).output.contains("7000 7001"))
        #expect(try Run("forget", path, root).output == "Forgot the space \(root), 3 pages.\n")
        #expect(try Run("forget", path, root).status == 1)
        #expect(try Run("spaces", path).output.hasPrefix("No spaces"))
    }
}
