import Glibc
import Testing

@testable import Threads

@Suite("The own process")
struct OwnProcessTests {
    /// The C library's `fork`, which Swift does not offer. The child may only look at memory and end.
    private static let fork: @convention(c) () -> pid_t = {
        // Safety: the symbol is that of a function with this signature, in every C library.
        unsafe unsafeBitCast(dlsym(nil, "fork"), to: (@convention(c) () -> pid_t).self)
    }()

    /// The status with which a forked child ends that returns what `body` does.
    private func inChild(_ body: () -> Int32) -> Int32 {
        let child = Self.fork()
        guard child != 0 else { _exit(body()) }
        var status: Int32 = 0
        unsafe waitpid(child, &status, 0)
        return status >> 8
    }

    @Test("is here until a fork, and not in the child, which is a process of its own")
    func fork() {
        let parent = OwnProcess()
        #expect(parent.isHere)
        let status = inChild {
            let child = OwnProcess()
            let grandchild = inChild { !parent.isHere && !child.isHere && OwnProcess().isHere ? 7 : 8 }
            return grandchild == 7 && !parent.isHere && child.isHere ? 5 : 6
        }
        #expect(status == 5)
        #expect(parent.isHere && OwnProcess().isHere)
    }
}
