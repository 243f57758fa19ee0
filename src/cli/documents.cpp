#include "cli/documents.hpp"

#include <fstream>
#include <iterator>

#include "codec/codec.hpp"

namespace sluice::cli {

Result<boost::json::value> read_document(const std::string& file, std::istream& in) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(in), {});
  } else {
    std::ifstream stream(file);
    if (!stream)
      return fail(Code::not_found, "cannot read " + file);
    text.assign(std::istreambuf_iterator<char>(stream), {});
  }
  auto document = codec::parse(text);
  if (!document)
    return fail(Code::invalid,
                (file == "-" ? "standard input" : file) + ": " + document.error().message);
  return document;
}

boost::json::value configuration_in(boost::json::value document) {
  if (const auto* object = document.if_object())
    if (object->size() == 2 && object->contains("generation") && object->contains("config"))
      return object->at("config");
  return document;
}

}  // namespace sluice::cli
