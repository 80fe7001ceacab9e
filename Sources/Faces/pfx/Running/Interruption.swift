// Ctrl-C and `kill` end a run in an orderly way: complete replies are written and the store is flushed.

internal import Foundation
internal import PrefixStore
internal import Synchronization

/// The signal that came, or 0. Written by the handler, which may do nothing else.
private let received = Atomic<Int32>(0)

/// SIGINT and SIGTERM as a flag that a loop checks.
enum Interruption {
    /// From now on the first SIGINT or SIGTERM asks the run to end, and the second ends the process at once. A closed
    /// pipe becomes an error of the write and no longer ends the process.
    static func watch() {
        received.store(0, ordering: .relaxed)
        // A parent may have started this process with them blocked, as the threads of libdispatch have.
        var both = sigset_t()
        unsafe sigemptyset(&both)
        for number in [SIGINT, SIGTERM] {
            unsafe sigaddset(&both, number)
            var action = sigaction()
            unsafe action.__sigaction_handler.sa_handler = { received.store($0, ordering: .relaxed) }
            action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
            unsafe sigaction(number, &action, nil)
        }
        unsafe pthread_sigmask(SIG_UNBLOCK, &both, nil)
        signal(SIGPIPE, SIG_IGN)
        Thread.detachNewThread { endWhenHeldUp() }
    }

    /// Waits for the signal, and ends the process if another process's writer keeps it from ending by itself.
    private static func endWhenHeldUp() {
        while signalNumber == nil { usleep(100_000) }
        sleep(1)
        while !Store.isHeldUp { usleep(50_000) }
        Output.say(
            "pfx: interrupted while another process was writing to the store and did not finish; replies that are not in "
                + "the store yet are computed again. `pfx info` names the processes that have it open.")
        _exit(exitStatus(signalNumber ?? SIGTERM))
    }

    /// The signal that asked the run to end.
    static var signalNumber: Int32? {
        let number = received.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }

    /// The exit status after a signal, as shells report it: 130 for SIGINT, 143 for SIGTERM.
    static func exitStatus(_ signal: Int32) -> Int32 { 128 + signal }
}
