"""Is a kept answer the answer to this request? Keys, guards, P(same answer), the promise and the policy."""
