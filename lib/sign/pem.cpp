#include "pem.hpp"

#include "aipack/core/error.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

namespace aipack::sign {

std::vector<PemBlock> parse_pem(std::string_view text, std::string_view name) {
  const BioPtr bio = read_bio(text);
  std::vector<PemBlock> blocks;
  for (;;) {
    char* label = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long length = 0;
    if (PEM_read_bio_ex(bio.get(), &label, &header, &data, &length, PEM_FLAG_SECURE) != 1) {
      const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
      const std::string cause = take_openssl_error();
      if (!at_end) {
        throw FormatError(std::string(name), std::nullopt, "its PEM block is damaged: " + cause);
      }
      break;
    }
    PemBlock& block = blocks.emplace_back();
    block.label = label;
    block.has_headers = *header != '\0';
    block.content.bytes.assign(reinterpret_cast<const char*>(data),
                               static_cast<std::size_t>(length));
    OPENSSL_secure_clear_free(label, block.label.size());
    OPENSSL_secure_clear_free(header, std::char_traits<char>::length(header));
    OPENSSL_secure_clear_free(data, block.content.bytes.size());
    if (blocks.size() > max_pem_blocks) {
      throw FormatError(std::string(name), std::nullopt,
                        "it has more than " + std::to_string(max_pem_blocks) + " PEM blocks");
    }
  }
  if (blocks.empty()) {
    throw FormatError(std::string(name), std::nullopt, "there is no PEM block in it");
  }
  return blocks;
}

std::string write_pem(const char* label, std::string_view content) {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  require(bio != nullptr && PEM_write_bio(bio.get(), label, "", data_of(content),
                                          static_cast<long>(content.size())) > 0,
          "write PEM");
  return std::string(text_of(bio.get()));
}

} // namespace aipack::sign
