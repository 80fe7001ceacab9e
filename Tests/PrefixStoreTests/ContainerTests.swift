// Processes in containers: each with a user, PID and mount namespace of its own, over one folder.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("Containers that share a store", .serialized, .enabled(if: Container.isAllowed), .timeLimit(.minutes(10)))
struct ContainerTests {
    let folder: TemporaryFolder
    var path: String { folder.path("store") }

    init() throws { folder = try TemporaryFolder() }

    private func share(_ path: String, seconds: Int) throws {
        let tally = try ContainerRun(worker: ChildProcess.product("store-worker")).run(path, seconds: seconds, seed: 0)
        #expect(tally.isGood, "\(tally.faults)")
    }

    @Test("as process 1 of each, under four users that are one: no error and no wrong byte")
    func processOne() throws {
        try share(path, seconds: 3)
        let inspector = try StoreInspector(at: path)
        defer { inspector.close() }
        #expect(try inspector.verify().isSound)
        #expect(try inspector.info().readers == 0, "their readers are gone")
    }

    @Test("in a volume of mode 2777: in a folder that the store makes there; the volume itself is refused")
    func volume() throws {
        let volume = folder.path("volume")
        #expect(unsafe mkdir(volume, 0o777) == 0 && chmod(volume, 0o2777) == 0)
        #expect {
            _ = try Store(at: volume)
        } throws: { error in
            guard let error = error as? StoreError, case .permissions = error else { return false }
            return error.remedy.contains("name a folder inside it")
        }
        try share(volume + "/kv", seconds: 1)
        var status = stat()
        #expect(unsafe stat(volume + "/kv", &status) == 0 && status.st_mode & 0o777 == 0o700)
    }

    @Test("with a read-only root: on a tmpfs, and on an overlay", arguments: ["tmpfs", "overlay"])
    func mounts(kind: String) throws {
        for name in ["lower", "upper", "work", "mnt"] { #expect(unsafe mkdir(folder.path(name), 0o755) == 0) }
        let options = ["lowerdir=lower", "upperdir=upper/u", "workdir=upper/w"]
            .map { $0.replacing("=", with: "=" + folder.path("")) }.joined(separator: ",")
        let mount =
            kind == "tmpfs"
            ? "mount -t tmpfs t mnt"
            : "mount -t tmpfs t upper && mkdir upper/u upper/w && mount -t overlay o -o \(options) mnt"
        let program = ChildProcess.product("store-worker")
        let script = """
            cd '\(folder.path)' && \(mount) || exit 77
            mount -o remount,bind,ro / 2>/dev/null
            exec '\(program)' hammer '\(folder.path("mnt"))/kv' 1 1 64MiB
            """
        let worker = try Worker(
            executable: Container.unshare, Container.arguments(user: 0, ["/bin/sh", "-c", script]))
        let (lines, status) = worker.finish()
        guard status != 77 else {
            print("no test on \(kind): this kernel does not let a container mount one")
            return
        }
        #expect(status == 0 && lines.last?.hasPrefix("rounds ") == true, "\(lines)")
    }
}
