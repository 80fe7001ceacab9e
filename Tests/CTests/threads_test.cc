// The header in C++17, and handles that several threads use at once, up to the moment in which the store is closed.
#include "expect.h"

#include <atomic>
#include <thread>
#include <vector>

namespace {

constexpr int count = 64;

void fill(pfx_space *space, int32_t base) {
    std::vector<int32_t> tokens(count);
    cells cells = cells_make(count);
    for (int token = 0; token < count; token++) {
        tokens[token] = base + token;
        cells_fill(&cells, static_cast<size_t>(token), tokens[token], token);
    }
    pfx_rows rows = cells_rows(&cells);
    pfx_seq *seq = nullptr;
    EXPECT_IS(pfx_seq_begin(space, nullptr, 0, &seq), 0);
    EXPECT_IS(pfx_seq_append(seq, tokens.data(), tokens.size(), &rows), count / PAGE);
    EXPECT_IS(pfx_seq_end(seq), PFX_OK);
    cells_free(&cells);
}

bool load(pfx_space *space, int32_t base) {
    std::vector<int32_t> tokens(count);
    for (int token = 0; token < count; token++) tokens[token] = base + token;
    pfx_match *match = nullptr;
    int64_t found = pfx_match_prefix(space, tokens.data(), tokens.size(), &match);
    if (found < 0) return false;
    EXPECT_IS(found, count);
    cells cells = cells_make(count);
    pfx_rows rows = cells_rows(&cells);
    int64_t loaded = pfx_load(match, 0, count, &rows);
    if (loaded == count)
        for (int token = 0; token < count; token++)
            for (int plane = 0; plane < PLANES; plane++)
                EXPECT(cells_hold(&cells, plane, static_cast<size_t>(token), tokens[token], token));
    cells_free(&cells);
    pfx_match_end(match);
    return loaded >= 0;
}

}  // namespace

int main(int arguments_count, char **arguments) {
    EXPECT(arguments_count == 2);
    pfx_store *store = open_store(arguments[1]);
    pfx_space *space = nullptr;
    EXPECT_IS(open_space(store, "model", &space), PFX_OK);
    std::vector<std::thread> threads;
    for (int32_t thread = 0; thread < 4; thread++) threads.emplace_back([=] { fill(space, thread * 1000); });
    for (std::thread &thread : threads) thread.join();
    threads.clear();
    EXPECT_IS(pfx_flush(store, 0), PFX_OK);
    std::atomic<int> loads{0};
    for (int32_t thread = 0; thread < 4; thread++)
        threads.emplace_back([=, &loads] {
            while (load(space, thread * 1000)) loads++;
        });
    while (loads < 40) std::this_thread::yield();
    EXPECT_IS(pfx_close(store), PFX_OK);
    for (std::thread &thread : threads) thread.join();
    EXPECT_IS(pfx_flush(store, 0), PFX_INVALID_HANDLE);
    return 0;
}
