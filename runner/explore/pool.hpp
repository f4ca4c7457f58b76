// Threads that share the items of one batch after another.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "sim/types.hpp"

namespace vtlsim::runner::explore {

class Pool {
  public:
    // The caller of run() is worker 0; `workers` - 1 threads are started.
    explicit Pool(u32 workers);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    u32 workers() const { return static_cast<u32>(threads_.size()) + 1; }
    // Calls work(worker, item) once for each item below `count`, and returns when all are done. If
    // some threw, throws what one of them did, with items left out.
    void run(std::size_t count, const std::function<void(u32, std::size_t)>& work);

  private:
    void serve(u32 worker);
    void work_off(u32 worker);

    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable start_;
    std::condition_variable done_;
    u64 batch_ = 0;    // counts run()s
    u32 working_ = 0;  // threads that have not done with this one
    bool quit_ = false;
    std::exception_ptr error_;

    const std::function<void(u32, std::size_t)>* work_ = nullptr;
    std::size_t count_ = 0;
    std::atomic<std::size_t> next_ = 0;
};

}  // namespace vtlsim::runner::explore
