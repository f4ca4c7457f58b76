#include "runner/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace vtlsim::runner {
namespace {

// State that the threads of one call share.
struct Pool {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t next = 0;
    std::size_t end = 0;  // where to stop
    std::size_t done = 0;
    std::size_t running = 0;
    std::exception_ptr error;

    void serve(const std::function<bool(std::size_t)>& work) {
        std::unique_lock lock(mutex);
        while (next < end) {
            const std::size_t i = next++;
            lock.unlock();
            bool go_on = false;
            std::exception_ptr thrown;
            try {
                go_on = work(i);
            } catch (...) {
                thrown = std::current_exception();
            }
            lock.lock();
            ++done;
            if (thrown && !error) error = thrown;
            if (!go_on) end = std::min(end, i + 1);
        }
        --running;
        changed.notify_all();
    }
};

}  // namespace

void parallel_for(std::size_t count, unsigned threads, const std::function<bool(std::size_t)>& work,
                  const std::function<void(std::size_t)>& watch) {
    const auto wanted = std::min<std::size_t>(count, std::max(threads, 1u));
    if (wanted <= 1 && (!watch || count <= 1)) {
        for (std::size_t i = 0; i < count && work(i); ++i) {
        }
        return;
    }
    Pool pool;
    pool.end = count;
    pool.running = wanted;
    std::vector<std::thread> workers;
    for (std::size_t i = 0; i < wanted; ++i) {
        workers.emplace_back([&] { pool.serve(work); });
    }
    {
        std::unique_lock lock(pool.mutex);
        while (!pool.changed.wait_for(lock, std::chrono::milliseconds(200),
                                      [&] { return pool.running == 0; })) {
            const std::size_t done = pool.done;
            lock.unlock();
            if (watch) watch(done);
            lock.lock();
        }
    }
    for (std::thread& worker : workers) worker.join();
    if (pool.error) std::rethrow_exception(pool.error);
}

}  // namespace vtlsim::runner
