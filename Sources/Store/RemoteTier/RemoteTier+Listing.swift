// Which pages of a space the servers have: for tools. No look-up ever lists anything.

package import KVFormat
internal import PageCodec
package import Records

extension RemoteTier {
    /// The names of the pages of a space, in the order of their positions, so that parents come first. Lists what the
    /// servers have, and reads the header of each page.
    ///
    /// - Throws: `.remoteFailure`.
    package func pages(of root: PrefixHash, _ layout: KVLayout, seal: SpaceSeal?) throws(StoreError) -> [PageName] {
        let size = min(WirePage.largestHeader, WirePage.headerBytes(tokens: layout.pageSize, isSealed: seal != nil))
        var names: [PrefixHash: PageName] = [:]
        do throws(RemoteFault) {
            try client.list(root, bytes: size) { hash, header in
                if let name = Self.name(in: header, hash, root, seal) { names[hash] = name }
            }
        } catch {
            throw failure(error)
        }
        return names.values.sorted { ($0.firstToken, $0.hash) < ($1.firstToken, $1.hash) }
    }

    /// Fetches pages for a tool, which keeps what has come when the rest does not.
    ///
    /// - Returns: the record of each page that is there and sound, whether there was an answer about it, and why some
    ///   have none.
    package func fetched(
        _ wanted: [RecordRequest], of layout: KVLayout
    ) -> (records: [RecordBytes?], isAnswered: [Bool], failure: StoreError?) {
        var records = [RecordBytes?](repeating: nil, count: wanted.count)
        var isAnswered = [Bool](repeating: false, count: wanted.count)
        let patience = Patience.long
        let fault = fetch(wanted, root: nil, of: layout, before: patience.deadline, stall: patience.stall) {
            isAnswered[$0] = true
            guard let bytes = $1?.bytes else { return true }
            do throws(RecordDamage) {
                try bytes.verifyPayload()
                records[$0] = bytes
            } catch {
                noteDamage(of: wanted[$0].hash, error)
            }
            return true
        }
        return (records, isAnswered, fault.map { failure($0) })
    }

    /// Fetches pages, and says which of them are not there, or cannot be trusted: the next put replaces those.
    ///
    /// - Throws: `.remoteFailure`.
    package func unsound(_ wanted: [RecordRequest], of layout: KVLayout) throws(StoreError) -> Set<PrefixHash> {
        var sound: Set<PrefixHash> = []
        try lend(wanted, of: layout) { lent in
            var damages: [Int: RecordDamage] = [:]
            for (place, record) in lent.enumerated() {
                guard let record else { continue }
                do throws(RecordDamage) {
                    try record.verifyPayload()
                    sound.insert(wanted[place].hash)
                } catch {
                    damages[place] = error
                }
            }
            return damages
        }
        return Set(wanted.map(\.hash)).subtracting(sound)
    }

    /// The name in a page's header; nil for a page of another space, and for what cannot be trusted.
    private static func name(
        in value: EncodedRecord, _ hash: PrefixHash, _ root: PrefixHash, _ seal: SpaceSeal?
    ) -> PageName? {
        do throws(RecordDamage) {
            return try WirePage(value.bytes, key: hash, root: root, seal: seal).name
        } catch {
            return nil
        }
    }
}
