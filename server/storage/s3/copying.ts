/**
 * Copies on the side of an object store, of the object that is meant.
 *
 * @module
 */

import type { ObjectHead, RequestOptions } from "./bucket.ts";
import type { S3Location } from "./s3_location.ts";
import type { S3Answer, S3Request, S3Requests } from "./s3_requests.ts";

/** How long a store may take to copy, in milliseconds: up to 5 GiB, of which some say nothing before all is copied. */
const COPY_MS = 600_000;

/** Makes requests that copy. */
export class Copying {
  readonly #requests: S3Requests;
  readonly #location: S3Location;
  readonly #head: (key: string, options: RequestOptions) => Promise<ObjectHead | undefined>;

  /** It makes no request. */
  constructor(
    requests: S3Requests,
    location: S3Location,
    head: (key: string, options: RequestOptions) => Promise<ObjectHead | undefined>,
  ) {
    this.#requests = requests;
    this.#location = location;
    this.#head = head;
  }

  /**
   * Makes a request that copies from an object; undefined if there is none, or its ETag is not `ifMatch`.
   *
   * Some stores ignore the condition, so that the ETag is looked at first; others never take the ETag of an object of
   * parts for the right one. For these, the request is repeated without the condition, and the ETag is looked at again.
   */
  async send(
    from: string,
    ifMatch: string | undefined,
    request: S3Request,
  ): Promise<S3Answer | undefined> {
    const { signal } = request;
    const send = async (condition: Record<string, string>) =>
      await this.#requests.send({
        ...request,
        work: COPY_MS,
        headers: {
          ...request.headers,
          "x-amz-copy-source": this.#location.copySource(from),
          ...condition,
        },
        answers: ["NoSuchKey", 412],
      });
    const matches = async () => (await this.#head(from, { signal }))?.etag === ifMatch;
    if (ifMatch !== undefined && !await matches()) return undefined;
    const condition = ifMatch === undefined ? {} : { "x-amz-copy-source-if-match": `"${ifMatch}"` };
    const answer = await send(condition);
    if (answer.code === "") return answer;
    if (answer.status !== 412 || ifMatch === undefined || !await matches()) return undefined;
    const unconditional = await send({});
    return unconditional.code === "" && await matches() ? unconditional : undefined;
  }
}
