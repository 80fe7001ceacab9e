// What the program needs of its surroundings before it opens anything.

internal import Foundation

/// Descriptors and signals as they must be for the whole run.
enum StandardDescriptors {
    /// Takes those of 0 to 2 that are closed, so that no file of the store becomes standard output, and makes writing
    /// beyond a limit of the file size an error instead of the end of the process.
    ///
    /// They are opened the wrong way round: what is written to a closed standard output fails as it would have failed.
    static func prepare() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            _ = unsafe open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
        signal(SIGXFSZ, SIG_IGN)
    }
}
