import { testStorage } from "../../../storage/conformance.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import { whyNoEngine } from "../../../support/engines/engine.ts";
import { emptyStorages, S3_ABILITIES } from "../../../support/s3_storage.ts";

testStorage("S3Storage on Swift", emptyStorages(SWIFT), S3_ABILITIES, whyNoEngine(SWIFT));
