// search() for Mode::exhaustive; see search.hpp.
#pragma once

#include "runner/explore/search.hpp"

namespace vtlsim::runner::explore {

SearchResult search_exhaustive(const SubjectFactory& factory, const SearchOptions& options);

}  // namespace vtlsim::runner::explore
