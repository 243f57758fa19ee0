#include "dataplane/xdp/libbpf_log.hpp"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>

namespace sluice::dataplane::xdp {

namespace {

thread_local std::string collected;
thread_local int collectors = 0;

__attribute__((format(printf, 2, 0))) int collect(libbpf_print_level level, const char* format,
                                                  va_list arguments) {
  if (level == LIBBPF_DEBUG || collectors == 0)
    return 0;
  // A verifier's log comes as one message, and what matters stands at its end.
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length <= 0)
    return length;
  const auto before = collected.size();
  collected.resize(before + static_cast<std::size_t>(length) + 1);
  std::vsnprintf(collected.data() + before, static_cast<std::size_t>(length) + 1, format,
                 arguments);
  collected.pop_back();
  return length;
}

}  // namespace

LibbpfLog::LibbpfLog() {
  libbpf_set_print(collect);
  if (collectors++ == 0)
    collected.clear();
}

LibbpfLog::~LibbpfLog() {
  collectors--;
}

std::string LibbpfLog::tail(std::size_t lines) const {
  std::size_t at = collected.size();
  for (std::size_t i = 0; i <= lines && at != 0 && at != std::string::npos; i++)
    at = collected.rfind('\n', at - 1);
  std::string text = collected.substr(at == std::string::npos || at == 0 ? 0 : at + 1);
  while (text.ends_with('\n'))
    text.pop_back();
  return text;
}

std::string LibbpfLog::kernel_message() const {
  constexpr std::string_view mark = "Kernel error message: ";
  const auto at = collected.rfind(mark);
  if (at == std::string::npos)
    return {};
  const auto begin = at + mark.size();
  return collected.substr(begin, collected.find('\n', begin) - begin);
}

}  // namespace sluice::dataplane::xdp
