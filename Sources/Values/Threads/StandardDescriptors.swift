// Keeping the store's files off the descriptors 0 to 2, which every program writes to without asking.

internal import Glibc

/// The system gives a new file the lowest free number. In a process that runs with standard output closed, as some
/// daemons do, the store's data file would become standard output, and the next `print` would write into the store.
package enum StandardDescriptors {
    /// Runs `body` while the free ones among 0 to 2 are taken, so that whatever it opens gets a number above them. They
    /// are free again afterwards, as the host had them.
    package static func taken<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        var placeholders: [Int32] = []
        defer { for placeholder in placeholders { close(placeholder) } }
        while true {
            let descriptor = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { break }
            guard descriptor <= STDERR_FILENO else {
                close(descriptor)
                break
            }
            placeholders.append(descriptor)
        }
        return try body()
    }
}
