// Files with secrets that others may read.

import Testing

@testable import KVFormat

@Suite("A file with a secret")
struct SecretFileTests {
    @Test("may be readable by others on a file system in memory, by the list of mounts")
    func mounts() {
        let list = Array(
            """
            21 28 0:19 / /sys rw,nosuid shared:7 - sysfs sysfs rw
            36 35 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
            40 36 0:51 / /run/secrets ro,relatime shared:1 master:2 - tmpfs tmpfs rw,size=1024k
            """.utf8)
        #expect(SecretFile.isInMemory("0:51", mounts: list))
        for device in ["254:0", "0:19", "0:5", "", "-"] {
            #expect(!SecretFile.isInMemory(device, mounts: list), "\(device)")
        }
    }
}
