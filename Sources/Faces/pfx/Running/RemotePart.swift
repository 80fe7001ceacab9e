// The remote's part in a run. Who names a remote wants to know whether it was used.

internal import PrefixStore

/// What came from the remote of a store, what went there, and what was wrong with it.
struct RemotePart: Encodable {
    var url: String
    var questions, lateQuestions, fetchedPages: UInt64
    var putPages, refusedPages, droppedPages, waitingPages, damagedPages: UInt64
    /// What was wrong when the run ended, as one clause each.
    var faults: [String]

    /// - Parameter statistics: when the store is closed; what waits then was not put.
    /// - Parameter faults: those before it was closed.
    init(_ statistics: RemoteStatistics, faults: [String]) {
        url = statistics.url
        questions = statistics.questions
        lateQuestions = statistics.lateQuestions
        fetchedPages = statistics.fetchedPages
        putPages = statistics.putPages
        refusedPages = statistics.refusedPages
        droppedPages = statistics.droppedPages
        waitingPages = statistics.waitingPages
        damagedPages = statistics.damagedPages
        self.faults = faults
    }

    /// Pages of this host that the remote lacks.
    private var missingPages: UInt64 { refusedPages + droppedPages + waitingPages }

    /// What to say of it: the first line, and one for each thing that is not as it should be.
    func lines(loadedTokens: Int) -> [String] {
        let loaded = Render.count(loadedTokens, "token"), put = Render.count(Int(putPages), "page")
        var lines = ["\(url): \(loaded) loaded, \(put) put"]
        for fault in faults { lines.append("\(fault); `pfx remote check` says more") }
        if lateQuestions > 0 {
            let late = Render.count(Int(lateQuestions), "look-up")
            lines.append("\(late) of \(questions) had no answer in time; lookup_ms in the URL gives them more")
        }
        if missingPages > 0 {
            let missing = Render.count(Int(missingPages), "page")
            let why =
                refusedPages == missingPages
                ? "it is full" : waitingPages == missingPages ? "the time was up" : "too many waited, or it is full"
            lines.append("\(missing) not put: \(why); `pfx push` puts them later")
        }
        if damagedPages > 0 {
            lines.append("\(Render.count(Int(damagedPages), "damaged value")) not used; the pages were recomputed")
        }
        return lines
    }
}
