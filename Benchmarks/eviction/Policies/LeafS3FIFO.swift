// S3-FIFO, adapted to leaves.

/// S3-FIFO (Yang et al., SOSP 2023): a small queue of a tenth of the quota for new pages, a main queue for those that
/// were used again, and a list of the pages that lately left the small queue, which go straight into the main queue
/// when they come back. A page that another follows, and one of the present request, goes round instead of out.
struct LeafS3FIFO: Policy {
    private struct Queue {
        private(set) var pages: [Int32] = []
        private var head = 0
        var count: Int { pages.count - head }

        mutating func push(_ page: Int32) { pages.append(page) }

        mutating func pop() -> Int32? {
            guard head < pages.count else { return nil }
            head += 1
            let page = pages[head - 1]
            if head > 4096, head * 2 > pages.count {
                pages.removeFirst(head)
                head = 0
            }
            return page
        }
    }

    private let trace: Trace
    private let smallQuota: Int
    private var small = Queue()
    private var main = Queue()
    private var smallBytes = 0
    private var ghosts = Queue()
    private var isGhost: [Bool]
    private var uses: [UInt8]
    private var residentChildren: [Int32]
    private var onPath: [Int32] = []
    private var isOnPath: [Bool]

    init(trace: Trace, quota: Int) {
        self.trace = trace
        smallQuota = quota / 10
        isGhost = Array(repeating: false, count: trace.pageCount)
        isOnPath = isGhost
        uses = Array(repeating: 0, count: trace.pageCount)
        residentChildren = Array(repeating: 0, count: trace.pageCount)
    }

    mutating func begin(_ request: Int, path: [Int32], at time: Int64) {
        for page in onPath { isOnPath[Int(page)] = false }
        onPath = path
        for page in path { isOnPath[Int(page)] = true }
    }

    mutating func use(_ page: Int32) { uses[Int(page)] = min(uses[Int(page)] + 1, 3) }

    mutating func insert(_ page: Int32) {
        uses[Int(page)] = 0
        let parent = trace.parents[Int(page)]
        if parent >= 0 { residentChildren[Int(parent)] += 1 }
        if isGhost[Int(page)] {
            isGhost[Int(page)] = false
            main.push(page)
        } else {
            small.push(page)
            smallBytes += trace.bytes(of: page)
        }
    }

    /// The victim is out of its queue already when it is named.
    mutating func victim() -> Int32? {
        // Three rounds wear down every count of uses; what is left then can't go.
        var patience = 4 * (small.count + main.count) + 4
        while patience > 0 {
            patience -= 1
            if smallBytes > smallQuota || main.count == 0, let page = small.pop() {
                if isHeld(page) {
                    small.push(page)
                    // Nothing of the small queue may go: the main queue has to give.
                    if patience % 64 == 0, let other = victimOfMain() { return other }
                } else if uses[Int(page)] > 1 {
                    smallBytes -= trace.bytes(of: page)
                    uses[Int(page)] = 0
                    main.push(page)
                } else {
                    smallBytes -= trace.bytes(of: page)
                    addGhost(page)
                    return page
                }
            } else if let page = victimOfMain() {
                return page
            }
        }
        return nil
    }

    private mutating func victimOfMain() -> Int32? {
        guard let page = main.pop() else { return nil }
        if isHeld(page) {
            main.push(page)
        } else if uses[Int(page)] > 0 {
            uses[Int(page)] -= 1
            main.push(page)
        } else {
            return page
        }
        return nil
    }

    private func isHeld(_ page: Int32) -> Bool { residentChildren[Int(page)] > 0 || isOnPath[Int(page)] }

    /// The list has as many pages as the main queue.
    private mutating func addGhost(_ page: Int32) {
        isGhost[Int(page)] = true
        ghosts.push(page)
        while ghosts.count > max(main.count, 1), let old = ghosts.pop() { isGhost[Int(old)] = false }
    }

    mutating func evict(_ page: Int32) {
        let parent = trace.parents[Int(page)]
        if parent >= 0 { residentChildren[Int(parent)] -= 1 }
    }
}
