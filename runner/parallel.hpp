// Independent pieces of work on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace vtlsim::runner {

// Calls work(i) once for each i below `count`, in this order where there is one thread, and returns
// when all are done. work(i) false: what comes behind i need not be started. `watch` is called on
// the calling thread about five times a second, with how many are done. What work throws is thrown
// here, once all threads are done.
void parallel_for(std::size_t count, unsigned threads, const std::function<bool(std::size_t)>& work,
                  const std::function<void(std::size_t)>& watch = {});

}  // namespace vtlsim::runner
