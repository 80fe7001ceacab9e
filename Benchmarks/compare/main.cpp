// One phase of one contender, in its own process; prints one JSON object.
//
//     contender NAME PHASE --dir D --pages FILE --page-bytes B --count N [--start-at S] [--port P]
//
// Phases: put (then sync), get, open (then get one page). NAME memcpy knows get only; NAME-2threads gets with two threads.
// --start-at is a time of CLOCK_MONOTONIC.

#include "contender.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <exception>
#include <malloc.h>
#include <map>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

double now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return double(time.tv_sec) + double(time.tv_nsec) / 1e9;
}

std::string key(std::uint64_t page) {
    char text[40];
    std::snprintf(text, sizeof text, "page-%027llu", static_cast<unsigned long long>(page));
    return text;
}

void wait_until(double time) {
    const double left = time - now();
    if (left > 0) usleep(static_cast<useconds_t>(left * 1e6));
}

void put(const std::string &name, const Place &place, const std::string &pages) {
    Memory source(place.page_bytes * place.pages);
    source.read(pages, place.page_bytes);
    auto contender = open_contender(name, place);
    const double start = now();
    for (std::uint64_t page = 0; page < place.pages; ++page)
        contender->put(key(page), source.data() + page * place.page_bytes, place.page_bytes);
    const double done = now();
    contender->sync();
    const double synced = now();
    std::printf("{\"put_seconds\": %.9f, \"put_sync_seconds\": %.9f, \"bytes_elsewhere\": %llu}\n", done - start,
                synced - start, static_cast<unsigned long long>(contender->bytes_elsewhere()));
}

void get(const std::string &name, const Place &place, const std::string &pages, double start_at,
         int threads) {
    Memory source(place.page_bytes * place.pages);
    source.read(pages, place.page_bytes);
    Memory target(source.size());
    auto contender = name == "memcpy" ? nullptr : open_contender(name, place);
    std::atomic<bool> complete{true};
    // Every `step`-th page from `first` on.
    const auto read = [&](std::uint64_t first, std::uint64_t step) {
        if (contender && step == 1) contender->will_get(key(0));
        for (std::uint64_t page = first; page < place.pages; page += step) {
            if (contender && step == 1 && page + 1 < place.pages) contender->will_get(key(page + 1));
            char *place_of_page = target.data() + page * place.page_bytes;
            if (!contender)
                std::memcpy(place_of_page, source.data() + page * place.page_bytes, place.page_bytes);
            else if (!contender->get(key(page), place_of_page, place.page_bytes))
                complete = false;
        }
    };
    const auto read_all = [&] {
        if (threads == 1) return read(0, 1);
        std::thread other(read, 1, 2);
        read(0, 2);
        other.join();
    };
    wait_until(start_at);
    // The first pass is what a restart costs. memcpy has no first time: the median of three is its own noise less.
    std::vector<double> passes;
    const double start = now();
    for (int pass = 0; pass < (contender ? 1 : 3); ++pass) {
        const double begin = now();
        read_all();
        passes.push_back(now() - begin);
    }
    std::sort(passes.begin(), passes.end());
    const double seconds = passes[passes.size() / 2];
    if (!complete) throw std::runtime_error("a page is missing");
    const bool exact = std::memcmp(source.data(), target.data(), source.size()) == 0;
    std::printf("{\"get_seconds\": %.9f, \"began\": %.9f, \"ended\": %.9f, \"exact\": %s}\n", seconds, start,
                start + seconds, exact ? "true" : "false");
}

void open_one(const std::string &name, const Place &place) {
    Memory target(place.page_bytes);
    const double start = now();
    auto contender = open_contender(name, place);
    const double opened = now();
    if (!contender->get(key(place.pages / 2), target.data(), place.page_bytes))
        throw std::runtime_error("a page is missing");
    const double done = now();
    std::printf("{\"open_seconds\": %.9f, \"first_page_seconds\": %.9f}\n", opened - start, done - opened);
}

int run(int count, char **arguments) {
    std::map<std::string, std::string> options;
    for (int index = 3; index + 1 < count; index += 2) options[arguments[index]] = arguments[index + 1];
    std::string name = arguments[1];
    const std::string phase = arguments[2], twice = "-2threads";
    int threads = 1;
    if (name.size() > twice.size() && name.compare(name.size() - twice.size(), twice.size(), twice) == 0) {
        name.resize(name.size() - twice.size());
        threads = 2;
    }
    if (threads == 2 && (name == "lmdb" || name == "redis")) throw std::runtime_error(name + " is read by one thread");
    const Place place{options["--dir"], std::stoul(options["--page-bytes"]), std::stoull(options["--count"]),
                      options.count("--port") ? std::stoi(options["--port"]) : 0};
    const double start_at = options.count("--start-at") ? std::stod(options["--start-at"]) : 0;
    if (phase == "put") put(name, place, options["--pages"]);
    else if (phase == "get") get(name, place, options["--pages"], start_at, threads);
    else if (phase == "open") open_one(name, place);
    else throw std::runtime_error("unknown phase " + phase);
    return 0;
}

} // namespace

std::unique_ptr<Contender> open_contender(const std::string &name, const Place &place) {
    if (name == "files") return open_files(place);
    if (name == "lmdb") return open_lmdb(place);
    if (name == "rocksdb") return open_rocksdb(place, false, true);
    if (name == "rocksdb-unchecked") return open_rocksdb(place, false, false);
    if (name == "rocksdb-zstd") return open_rocksdb(place, true, true);
    if (name == "redis") return open_redis(place);
    throw std::runtime_error("unknown contender " + name);
}

int main(int count, char **arguments) {
    if (count < 3) {
        std::fprintf(stderr, "contender NAME PHASE --dir D --pages FILE --page-bytes B --count N\n");
        return 64;
    }
    // LMDB and RocksDB allocate every page that they handle; giving the memory back each time halves their speed.
    mallopt(M_MMAP_THRESHOLD, 32 << 20); // the most that it takes
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    try {
        return run(count, arguments);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "contender %s: %s\n", arguments[1], error.what());
        return 1;
    }
}
