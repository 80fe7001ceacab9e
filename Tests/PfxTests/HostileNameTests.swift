// Names that come from a file may hold anything. None of it may steer a terminal or forge a line.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("A name with control characters")
struct HostileNameTests {
    /// A store whose only space has the name of a model, and another label, that clear the screen and forge a line.
    private func store(in folder: TemporaryFolder) throws -> String {
        let path = folder.path("store")
        let identity = try ModelIdentity(
            weights: .sha256([]), layout: GeneratedModel("demo").layout, positions: "rope", tokenizer: .sha256([]),
            engine: "engine", engineFormat: 1,
            labels: [
                "model": "demo\u{1B}[2J\nforged line\u{9B}2J",
                "note\u{7}": "\r\u{202E}backwards \"quoted\" \\ as it is",
            ])
        let store = try Store(at: path)
        _ = try store.space(identity)
        try store.close()
        return path
    }

    @Test("is shown on one line and in visible characters, whatever the command", arguments: ["spaces", "tree"])
    func shown(command: String) throws {
        let folder = try TemporaryFolder()
        let path = try store(in: folder)
        let text = try Run(command, path).output
        #expect(text.contains(#"demo\u{1b}[2J\nforged line\u{9b}2J"#), "\(text)")
        #expect(!text.split(separator: "\n").contains { $0.hasPrefix("forged") })
        let json = try Run(command, path, "--json").output
        for scalar in (text + json).unicodeScalars where scalar.properties.generalCategory == .control {
            #expect(scalar == "\n")
        }
        let object = try JSONSerialization.jsonObject(with: Data(json.utf8))
        #expect("\(object)".contains("demo"), "it is still JSON")
    }

    @Test("keeps quotation marks and backslashes as they are")
    func plain() throws {
        let folder = try TemporaryFolder()
        let text = try Run("spaces", store(in: folder)).output
        #expect(text.contains(#"note\u{7}: \u{d}\u{202e}backwards "quoted" \ as it is"#), "\(text)")
    }

    @Test("is made visible in an error as well")
    func errors() throws {
        let run = try Run("info", "no\u{1B}[2Jfolder\nforged")
        #expect(run.status == 66)
        #expect(run.errors.contains(#"no\u{1b}[2Jfolder\nforged"#), "\(run.errors)")
        #expect(run.errors.split(separator: "\n").count == 1)
    }
}
