#include "runner/explore/pool.hpp"

namespace vtlsim::runner::explore {

Pool::Pool(u32 workers) {
    for (u32 worker = 1; worker < workers; ++worker) {
        threads_.emplace_back([this, worker] { serve(worker); });
    }
}

Pool::~Pool() {
    {
        const std::lock_guard lock(mutex_);
        quit_ = true;
    }
    start_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Pool::run(std::size_t count, const std::function<void(u32, std::size_t)>& work) {
    work_ = &work;
    count_ = count;
    next_ = 0;
    error_ = nullptr;
    // Waking a thread costs about as much as an item or two.
    const bool alone = threads_.empty() || count < 4;
    if (!alone) {
        {
            const std::lock_guard lock(mutex_);
            ++batch_;
            working_ = static_cast<u32>(threads_.size());
        }
        start_.notify_all();
    }
    work_off(0);
    if (!alone) {
        std::unique_lock lock(mutex_);
        done_.wait(lock, [this] { return working_ == 0; });
    }
    if (error_) std::rethrow_exception(error_);
}

void Pool::serve(u32 worker) {
    u64 served = 0;
    std::unique_lock lock(mutex_);
    while (true) {
        start_.wait(lock, [&] { return quit_ || batch_ != served; });
        if (quit_) return;
        served = batch_;
        lock.unlock();
        work_off(worker);
        lock.lock();
        if (--working_ == 0) done_.notify_one();
    }
}

void Pool::work_off(u32 worker) {
    try {
        for (std::size_t item = next_++; item < count_; item = next_++) (*work_)(worker, item);
    } catch (...) {
        const std::lock_guard lock(mutex_);
        error_ = std::current_exception();
        next_ = count_;
    }
}

}  // namespace vtlsim::runner::explore
